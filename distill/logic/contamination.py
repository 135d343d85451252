"""Held-out text that stands in training text: runs of words that both have.

A run of `flag_words` (8) flags a text, one of `drop_words` (13) drops it: shorter runs are often
phrases of a field. The held-out runs are held as one sorted array of 64-bit hashes; what a hash found
is shown, and so proved, by the words of both texts. A text with fewer words than a run is not looked at
for it: one of less than thirteen words is flagged at most.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from distill.logic.shingles import (
    Hashes,
    Runs,
    hash_runs,
    hash_words,
    list_words,
    longest_common_run,
)

_SHOWN_WORDS = 40
_LONGEST_LOOKED_AT = 2_000
_MOST_RUNS = 64
_MERGED_AT = 4_000_000


@dataclass(slots=True)
class HeldOutRuns:
    """The hashes of all runs of `size` words in held-out texts: 8 bytes for each distinct one."""

    size: int
    _merged: Hashes = field(default_factory=lambda: np.zeros(0, dtype=np.uint64))
    _added: list[Hashes] = field(default_factory=list)

    def add(self, texts: Sequence[str]) -> None:
        self._added.append(np.unique(_whole_runs(hash_words(texts), self.size).hashes))
        if sum(map(len, self._added)) > max(_MERGED_AT, len(self._merged)):
            self._merge()

    def find(self, runs: Runs) -> npt.NDArray[np.bool_]:
        """Which of the runs are held out, as booleans."""
        self._merge()
        if not len(self._merged):
            return np.zeros(len(runs.hashes), dtype=bool)
        places = np.searchsorted(self._merged, runs.hashes)
        places[places == len(self._merged)] = 0
        found: npt.NDArray[np.bool_] = self._merged[places] == runs.hashes
        return found

    def _merge(self) -> None:
        if self._added:
            self._merged = np.unique(np.concatenate([self._merged, *self._added]))
            self._added = []


@dataclass(frozen=True, slots=True)
class Suspect:
    """A text with a held-out run: its first one's hash, and those of longer runs that may be too."""

    text: int
    run: int
    longer: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run was found in held-out text: whose, and the words from there on."""

    held_out: str
    words: str


def find_suspects(texts: Sequence[str], held_out: HeldOutRuns, *, drop_words: int) -> list[Suspect]:
    """The texts that share a run with held-out text.

    A longer run is held out only where all its short ones are; of such at most 64 are named.
    """
    words = hash_words(texts)
    short = _whole_runs(words, held_out.size)
    longer = _whole_runs(words, drop_words)
    width = drop_words - held_out.size + 1
    is_hit = held_out.find(short)
    hit_before = np.concatenate([[0], np.cumsum(is_hit)])
    owners = np.searchsorted(short.offsets, np.flatnonzero(is_hit), side="right") - 1
    suspects = []
    for text in np.unique(owners).tolist():
        begin, end = short.offsets[text], short.offsets[text + 1]
        first = begin + int(np.argmax(is_hit[begin:end]))
        runs = longer.of(text)
        starts = begin + np.arange(len(runs))
        all_hit = hit_before[starts + width] - hit_before[starts] == width
        named = tuple(runs[all_hit][:_MOST_RUNS].tolist())
        suspects.append(Suspect(text, int(short.hashes[first]), named))
    return suspects


def locate(
    texts: Sequence[str], names: Sequence[str], wanted: Hashes, size: int
) -> Iterator[tuple[int, Place]]:
    """Each of the wanted runs (a sorted array of hashes) that these held-out texts have, once."""
    if not len(wanted):
        return
    runs = _whole_runs(hash_words(texts), size)
    places = np.searchsorted(wanted, runs.hashes)
    places[places == len(wanted)] = 0
    hits = np.flatnonzero(wanted[places] == runs.hashes)
    _, firsts = np.unique(runs.hashes[hits], return_index=True)
    for hit in hits[firsts].tolist():
        text = int(np.searchsorted(runs.offsets, hit, side="right")) - 1
        start = hit - int(runs.offsets[text])
        words = list_words(texts[text])[start : start + max(_SHOWN_WORDS, size)]
        yield int(runs.hashes[hit]), Place(names[text], " ".join(words))


def common_words(one: str, other: str, *, shown: int = _SHOWN_WORDS) -> tuple[str, int]:
    """The longest run of words that two texts have in common, its first forty, and its length.

    Of each text the first 2,000 words are looked at.
    """
    mine = list_words(one)[:_LONGEST_LOOKED_AT]
    words = hash_words([one, other])
    start, length = longest_common_run(
        words.of(0)[:_LONGEST_LOOKED_AT], words.of(1)[:_LONGEST_LOOKED_AT]
    )
    return " ".join(mine[start : start + min(length, shown)]), length


def _whole_runs(words: Runs, size: int) -> Runs:
    """The runs of so many words; a shorter text has none."""
    runs = hash_runs(words, size)
    is_whole = np.repeat(np.diff(words.offsets) >= size, np.diff(runs.offsets))
    offsets = np.concatenate([[0], np.cumsum(is_whole)])[runs.offsets]
    return Runs(runs.hashes[is_whole], offsets)
