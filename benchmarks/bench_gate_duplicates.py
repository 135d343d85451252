"""Near-duplicates in figures: rows a second against bare rensa, recall and precision.

Clusters are planted among completions of 2 kB: an original and copies of it in which ever more words
are other ones, so that their Jaccard over runs of five words goes from nearly 1 to nearly 0. The
truth is reckoned exactly, over the words as the screening reads them.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
from rensa import RMinHashDeduplicator

from benchmarks.engine_site import Measured
from benchmarks.gate_corpus import Corpus, open_corpus
from benchmarks.gate_worker import in_own_process, peak_mb
from distill.logic.duplicates import Copy, find_copies, join, sketch
from distill.logic.shingles import list_words

THRESHOLD = 0.8
WRONG_BELOW = 0.7
RUN_WORDS = 5
_PERMUTATIONS = 128
_BATCH = 5_000
_CLUSTER_SHARE = 0.05
_COPIES = 4
_HERE = "benchmarks.bench_gate_duplicates"


def measure_duplicates(*, rows: int, rounds: int, say: Callable[[str], None]) -> Measured:
    """Speed and faults over so many texts, and over a quarter of them."""
    large = in_own_process(_HERE, "measure_copies", rows=rows, rounds=rounds)
    small = in_own_process(_HERE, "measure_copies", rows=rows // 4, rounds=1)
    say(f"duplicates: {large}")
    rate = large["duplicates_rows_per_s"]
    return {
        **large,
        "duplicates_linear_ratio": round(rate / small["duplicates_rows_per_s"], 3),
        "duplicates_peak_mb_quarter": small["duplicates_peak_mb"],
    }


def measure_copies(rows: int, rounds: int) -> Measured:
    """In turns: the screening, and rensa as its README shows it, over the same texts."""
    texts, clusters = plant(rows, random.Random("duplicates"))
    find_all(texts[:200])
    find_bare(texts[:200])
    ours, bare = [], []
    copies: list[Copy] = []
    for _round in range(rounds):
        seconds, copies = _timed_copies(texts)
        ours.append(seconds)
        began = time.perf_counter()
        find_bare(texts)
        bare.append(time.perf_counter() - began)
    ratios = [slow / fast for slow, fast in zip(bare, ours, strict=True)]
    return {
        "duplicates_rows_per_s": round(rows / statistics.median(ours)),
        "duplicates_rensa_rows_per_s": round(rows / statistics.median(bare)),
        "duplicates_ratio": round(statistics.median(ratios), 2),
        **judge_copies(texts, clusters, copies),
        "duplicates_peak_mb": peak_mb(),
    }


def _timed_copies(texts: Sequence[str]) -> tuple[float, list[Copy]]:
    began = time.perf_counter()
    copies = find_all(texts)
    return time.perf_counter() - began, copies


def find_all(texts: Sequence[str]) -> list[Copy]:
    """Every copy, by the product's own way."""
    parts = []
    for start in range(0, len(texts), _BATCH):
        batch = texts[start : start + _BATCH]
        parts.append(sketch(batch, np.zeros(len(batch), np.uint64), threshold=THRESHOLD))
    copies, _flagged = find_copies(
        join(parts), lambda places: [texts[place] for place in places], threshold=THRESHOLD
    )
    return copies


def find_bare(texts: Sequence[str]) -> list[bool]:
    """As rensa's README does, with runs of five words made in Python; whether each is kept."""
    deduplicator = RMinHashDeduplicator(threshold=THRESHOLD, num_perm=_PERMUTATIONS, use_lsh=True)
    kept: list[bool] = deduplicator.add_pairs(
        (str(number), _runs(text.split())) for number, text in enumerate(texts)
    )
    return kept


def _runs(words: Sequence[str]) -> list[str]:
    return [
        " ".join(words[start : start + RUN_WORDS])
        for start in range(max(1, len(words) - RUN_WORDS + 1))
    ]


def plant(rows: int, rng: random.Random) -> tuple[list[str], list[list[int]]]:
    """Texts in any order, and the places of each cluster's."""
    corpus = open_corpus(seed=1)
    groups: list[list[str]] = []
    total = 0
    while total < rows:
        text = corpus.row(len(groups)).text
        is_cluster = rng.random() < _CLUSTER_SHARE and total + _COPIES < rows
        groups.append([text, *(_changed(text, corpus, rng) for _ in range(_COPIES * is_cluster))])
        total += len(groups[-1])
    order = list(range(total))
    rng.shuffle(order)
    texts, clusters, places = [""] * total, [], iter(order)
    for group in groups:
        where = [next(places) for _ in group]
        for place, text in zip(where, group, strict=True):
            texts[place] = text
        if len(group) > 1:
            clusters.append(where)
    return texts, clusters


def _changed(text: str, corpus: Corpus, rng: random.Random) -> str:
    """The text with up to a fifth of its words replaced; most copies are near the threshold."""
    words = text.split(" ")
    others = rng.choice(corpus.sentences).split()
    share = rng.choice((0, 0.01, 0.02, 0.03, 0.04, 0.06, 0.1, 0.2))
    return " ".join(rng.choice(others) if rng.random() < share else word for word in words)


def judge_copies(
    texts: Sequence[str], clusters: Sequence[Sequence[int]], copies: Sequence[Copy]
) -> Measured:
    """Recall over the planted pairs that are near-copies; precision over the pairs that were named.

    A pair counts as found where one of the two was dropped, whether for the other or for a third
    that is kept: so much is asked of a screening, that no two near-copies remain.
    """
    runs: dict[int, set[tuple[str, ...]]] = {}

    def jaccard(one: int, other: int) -> float:
        for place in (one, other):
            if place not in runs:
                words = list_words(texts[place])
                starts = range(max(1, len(words) - RUN_WORDS + 1))
                runs[place] = {tuple(words[start : start + RUN_WORDS]) for start in starts}
        common = len(runs[one] & runs[other])
        return common / (len(runs[one]) + len(runs[other]) - common)

    dropped = {copy.place for copy in copies}
    near = [
        pair
        for places in clusters
        for pair in combinations(sorted(places), 2)
        if jaccard(*pair) >= THRESHOLD
    ]
    found = sum(bool(dropped & set(pair)) for pair in near)
    wrong = sum(jaccard(copy.place, copy.kept) < WRONG_BELOW for copy in copies)
    return {
        "duplicates_recall": round(found / len(near), 4),
        "duplicates_precision": round(1 - wrong / max(1, len(copies)), 4),
        "duplicates_pairs": len(near),
        "duplicates_dropped": len(copies),
    }
