"""Near-duplicates: signatures by rensa's MinHash, bands of them as buckets, then the exact Jaccard.

Compared are the sets of runs of five words. Texts of different groups have none in common, however
alike they are. Texts without a word are copies of each other.

Texts come in their rank, the best first. One after the other, each is held against those that were
kept before it and share a bucket with it; where the exact Jaccard reaches the threshold it is a copy
of the most similar one, else it is kept. So every copy is one of a text that is kept, and not of a
third one that was dropped: a chain of small changes is not drawn together into one cluster, as
union-find over pairs would.

Texts with the very same runs fall together before that, by their digests alone. A bucket offers at
most `_MOST_OFFERED` kept texts, and a text is compared with at most so many: a million texts that
are all a little alike take time that is linear in their number.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rensa import RMinHash

from distill.logic.shingles import Hashes, Places, Runs, hash_runs, hash_words, sums_by_text

RUN_WORDS = 5
_NUM_PERMUTATIONS = 128
_SEED = 42
_WANTED_RECALL = 0.998
_MOST_OFFERED = 32
_BATCH = 1_000
_NUM_CACHED = 20_000
_MIX = np.uint64(0xBF58476D1CE4E5B9)

Read = Callable[[Sequence[int]], Sequence[str]]
"""Gives the texts at these places, in their order."""


@dataclass(frozen=True, slots=True)
class Sketches:
    """What is kept of each text in memory: its group, its digest, and the buckets that it is in."""

    groups: Hashes
    digests: Hashes
    buckets: npt.NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.digests)


@dataclass(frozen=True, slots=True)
class Copy:
    """The text at `place` is a near-copy of the kept one at `kept`; the exact Jaccard of the two."""

    place: int
    kept: int
    similarity: float


def num_rows(threshold: float) -> int:
    """How many of the 128 permutations make one band, so that what is above the threshold is found.

    A pair of Jaccard s shares one of b bands of r rows with a chance of 1 - (1 - s^r)^b. As many
    rows as leave 0.998 of the pairs at the threshold itself: 6 at 0.8 (21 bands; 0.99995 of those
    at 0.85, 0.28 of those at 0.5).
    """
    for rows in range(16, 1, -1):
        if 1 - (1 - threshold**rows) ** (_NUM_PERMUTATIONS // rows) >= _WANTED_RECALL:
            return rows
    return 1


def sketch(texts: Sequence[str], groups: Hashes, *, threshold: float) -> Sketches:
    """The sketches of a batch of texts, each in its group."""
    runs = _runs(texts)
    salted = Runs(runs.hashes ^ np.repeat(groups, np.diff(runs.offsets)), runs.offsets)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(
        salted.hashes, salted.offsets.astype(np.uint64), _NUM_PERMUTATIONS, _SEED
    )
    rows = num_rows(threshold)
    bands = _NUM_PERMUTATIONS // rows
    signatures = np.array(matrix.to_rows(), dtype=np.uint64).reshape(-1, _NUM_PERMUTATIONS)
    banded = signatures[:, : bands * rows].reshape(-1, bands, rows)
    # Equal rows in two bands are two buckets.
    buckets = np.tile(np.arange(bands, dtype=np.uint64), (len(banded), 1))
    for row in range(rows):
        buckets = (buckets ^ banded[:, :, row]) * _MIX
        buckets ^= buckets >> np.uint64(31)
    return Sketches(groups, sums_by_text(salted) + groups, buckets)


def join(sketches: Sequence[Sketches]) -> Sketches:
    """The sketches of several batches as one."""
    return Sketches(
        np.concatenate([one.groups for one in sketches]),
        np.concatenate([one.digests for one in sketches]),
        np.concatenate([one.buckets for one in sketches]),
    )


def find_copies(
    sketches: Sketches, read: Read, *, threshold: float, flag_above: float | None = None
) -> tuple[list[Copy], list[Copy]]:
    """Every text that is a copy of a kept one, in their order; and the kept that nearly are.

    Sketches stand in the rank of their texts, the best first, and were made for the lower of the two
    thresholds (0 to 1). The texts of candidates alone are read, some hundreds at a time.
    """
    _, firsts, of_unique = np.unique(sketches.digests, return_index=True, return_inverse=True)
    first_of = firsts[of_unique]
    distinct = np.sort(firsts)
    found = _Finder(sketches, read, threshold, flag_above or threshold).find(distinct)
    dropped = {copy.place: copy for copy in found if copy.similarity >= threshold}
    copies = list(dropped.values())
    for place in np.flatnonzero(first_of != np.arange(len(sketches))).tolist():
        first = int(first_of[place])
        by = dropped.get(first)
        copies.append(Copy(place, by.kept if by else first, by.similarity if by else 1.0))
    copies.sort(key=lambda copy: copy.place)
    return copies, [copy for copy in found if copy.similarity < threshold]


def similarity(one: str, other: str) -> float:
    """The exact Jaccard of two texts' sets of runs of five words."""
    runs = _runs([one, other])
    return _jaccard(_as_set(runs.of(0)), _as_set(runs.of(1)))


@dataclass(slots=True)
class _Finder:
    sketches: Sketches
    read: Read
    threshold: float
    flag_above: float

    def find(self, distinct: Places) -> list[Copy]:
        """What is similar to a text kept before it; `distinct` are the places to look at."""
        shared = _shared_buckets(self.sketches.buckets[distinct])
        in_question = shared.any(axis=1)
        places, shared = distinct[in_question], shared[in_question]
        kept: dict[int, list[int]] = defaultdict(list)
        cache: dict[int, Hashes] = {}
        found: list[Copy] = []
        for start in range(0, len(places), _BATCH):
            batch = places[start : start + _BATCH].tolist()
            buckets = dict(zip(batch, self._buckets(batch, shared[start:]), strict=True))
            runs = self._load(batch, buckets.values(), kept, cache)
            for place in batch:
                copy = self._compare(place, buckets[place], kept, runs)
                if copy is not None:
                    found.append(copy)
                if copy is None or copy.similarity < self.threshold:
                    _keep(place, buckets[place], kept)
        return found

    def _buckets(self, places: list[int], shared: npt.NDArray[np.bool_]) -> Iterator[list[int]]:
        """The buckets of each place that somebody else is in."""
        for place, is_shared in zip(places, shared, strict=False):
            yield self.sketches.buckets[place, is_shared].tolist()

    def _load(
        self,
        batch: list[int],
        buckets: Iterable[list[int]],
        kept: dict[int, list[int]],
        cache: dict[int, Hashes],
    ) -> dict[int, Hashes]:
        """The runs of the batch and of all that it may be compared with."""
        wanted = set(batch)
        for one in buckets:
            wanted.update(_candidates(one, kept))
        missing = sorted(wanted - cache.keys())
        if len(cache) + len(missing) > _NUM_CACHED:
            cache.clear()
            missing = sorted(wanted)
        for start in range(0, len(missing), _BATCH):
            some = missing[start : start + _BATCH]
            runs = _runs(self.read(some))
            cache.update((place, _as_set(runs.of(number))) for number, place in enumerate(some))
        return cache

    def _compare(
        self,
        place: int,
        buckets: list[int],
        kept: dict[int, list[int]],
        runs: dict[int, Hashes],
    ) -> Copy | None:
        """The most similar of the kept, the better one of two; None where none is similar enough."""
        groups = self.sketches.groups
        copies = [
            Copy(place, other, _jaccard(runs[place], runs[other]))
            for other in _candidates(buckets, kept)
            if groups[other] == groups[place]
        ]
        best = max(copies, key=lambda copy: (copy.similarity, -copy.kept), default=None)
        return best if best and best.similarity >= self.flag_above else None


def _runs(texts: Sequence[str]) -> Runs:
    return hash_runs(hash_words(texts), RUN_WORDS)


def _shared_buckets(buckets: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Which buckets hold another text too."""
    shared = np.zeros(buckets.shape, dtype=bool)
    for band in range(buckets.shape[1]):
        _, group, sizes = np.unique(buckets[:, band], return_inverse=True, return_counts=True)
        shared[:, band] = sizes[group] > 1
    return shared


def _candidates(buckets: list[int], kept: dict[int, list[int]]) -> list[int]:
    """The kept texts that share most buckets, the best ranked first."""
    offered = Counter(place for bucket in buckets for place in kept.get(bucket, ()))
    if len(offered) <= _MOST_OFFERED:
        return sorted(offered)
    return sorted(offered, key=lambda place: (-offered[place], place))[:_MOST_OFFERED]


def _keep(place: int, buckets: list[int], kept: dict[int, list[int]]) -> None:
    for bucket in buckets:
        if len(kept[bucket]) < _MOST_OFFERED:
            kept[bucket].append(place)


def _as_set(runs: Hashes) -> Hashes:
    """Sorted, each once; a fourth of what `np.unique` takes for a few hundred."""
    ordered = np.sort(runs)
    each_once: Hashes = ordered[
        np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(ordered)]
    ]
    return each_once


def _jaccard(one: Hashes, other: Hashes) -> float:
    """Of two sorted sets."""
    if not len(one) or not len(other):
        return float(len(one) == len(other))
    places = np.searchsorted(other, one)
    places[places == len(other)] = 0
    common = int((other[places] == one).sum())
    return common / (len(one) + len(other) - common)
