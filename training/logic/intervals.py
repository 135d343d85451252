"""Estimates with their 95 % intervals: never a bare number, and words where there is none.

scipy takes a second to import, so it is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.95
RESAMPLES = 9_999
SEED = 20_261_123
"""Fixed: the same answers give the same interval."""

_BATCH = 500
"""Resamples at once: keeps the bootstrap of 2,000 samples below 10 MB."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value of `n` observations and its 95 % interval; `why` says what is missing, and why.

    `count` is the numerator where the value is a rate.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    count: int | None = None
    why: str = ""


def rate(count: int, n: int) -> Estimate:
    """`count` of `n` with Wilson's score interval (Wilson 1927; without continuity correction)."""
    if not n:
        return Estimate(None, None, None, 0, count=0, why="nothing to count")
    low, high = _wilson(count, n)
    return Estimate(count / n, low, high, n, count=count)


def mean(values: Sequence[float]) -> Estimate:
    """The mean with a percentile bootstrap interval (Efron 1979)."""
    n = len(values)
    if not n:
        return Estimate(None, None, None, 0, why="nothing to average")
    value = float(np.mean(values))
    if n == 1:
        return Estimate(value, None, None, 1, why="one value has no interval")
    if min(values) == max(values):
        return Estimate(value, None, None, n, why=f"all {n} values are equal: no interval")
    low, high = _bootstrap(values)
    return Estimate(value, low, high, n)


def paired_difference(first: Sequence[bool], second: Sequence[bool]) -> Estimate:
    """How much more often the first is true than the second, of the same samples in one order.

    The interval is a percentile bootstrap over samples, which keeps both answers to a sample
    together. Where all samples agree it would have no width, which is no certainty: then it is
    Wilson's interval for a share of which n of n, or none of n, were seen.
    """
    differences = [float(one) - float(other) for one, other in zip(first, second, strict=True)]
    n = len(differences)
    if not n:
        return Estimate(None, None, None, 0, why="no sample that both answered")
    value = float(np.mean(differences))
    if min(differences) < max(differences):
        low, high = _bootstrap(differences)
        return Estimate(value, low, high, n)
    if not value:
        most = _wilson(0, n)[1]
        why = f"both did the same on all {n} samples"
        return Estimate(0.0, -most, most, n, why=why)
    least = _wilson(n, n)[0]
    low, high = (least, 1.0) if value > 0 else (-1.0, -least)
    return Estimate(value, low, high, n, why=f"one beat the other on all {n} samples")


def _wilson(count: int, n: int) -> tuple[float, float]:
    from scipy.stats import binomtest

    interval = binomtest(count, n).proportion_ci(confidence_level=LEVEL, method="wilson")
    return float(interval.low), float(interval.high)


def _bootstrap(values: Sequence[float]) -> tuple[float, float]:
    from scipy.stats import bootstrap

    found = bootstrap(
        (np.asarray(values),),
        np.mean,
        n_resamples=RESAMPLES,
        batch=_BATCH,
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return float(found.low), float(found.high)
