"""How far people agree in their yes and no: raw, Krippendorff's α, Gwet's AC1, Cohen's κ of pairs.

Everything follows from how many said yes and no of each completion, so that a bootstrap over
completions is one product of matrices. Sources: Krippendorff (2011), Computing Krippendorff's
Alpha-Reliability (nominal data, any number of raters, missing ratings); Gwet (2008), Computing
inter-rater reliability and its variance in the presence of high agreement (AC1); Cohen (1960), A
coefficient of agreement for nominal scales. κ and α fall where nearly everything is accepted although
people agree; AC1 does not: so all are shown, with the share of yes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
RESAMPLES = 1_000
FEWEST = 30
"""Under so many shared completions a coefficient says little, and pages say so."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One person's yes or no to one completion."""

    completion: int
    rater: int
    is_yes: bool


@dataclass(frozen=True, slots=True)
class Coefficient:
    """A value with its bootstrap 95 % interval; None where there is no variation to measure it by."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Over the completions that at least two people judged. `yes_share` is of all their verdicts."""

    num_completions: int
    num_verdicts: int
    yes_share: float
    raw: Coefficient
    alpha: Coefficient
    ac1: Coefficient


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """Two people over the completions that both judged; κ is None where one of them never varied."""

    raters: tuple[int, int]
    num_completions: int
    raw: float
    kappa: float | None


def measure(
    verdicts: Iterable[Verdict], *, chance: np.random.Generator, resamples: int = RESAMPLES
) -> Agreement | None:
    """Agreement over all raters; None where no completion was judged by two."""
    counts = _counts(verdicts)
    if not len(counts):
        return None
    features = _features(counts)
    drawn = chance.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=resamples)
    whole = features.sum(axis=0, keepdims=True)
    values, spread = _coefficients(whole, len(counts)), _coefficients(drawn @ features, len(counts))
    raw, alpha, ac1 = (
        _interval(value[0], some) for value, some in zip(values, spread, strict=True)
    )
    num_verdicts = int(counts.sum())
    return Agreement(
        num_completions=len(counts),
        num_verdicts=num_verdicts,
        yes_share=float(counts[:, 0].sum() / num_verdicts),
        raw=raw,
        alpha=alpha,
        ac1=ac1,
    )


def measure_pairs(verdicts: Iterable[Verdict]) -> list[PairAgreement]:
    """Each two people who judged the same completions, those with most in common first."""
    said: dict[int, dict[int, bool]] = defaultdict(dict)
    for one in verdicts:
        said[one.rater][one.completion] = one.is_yes
    found = [_pair(a, b, said[a], said[b]) for a, b in combinations(sorted(said), 2)]
    return sorted((one for one in found if one), key=lambda one: -one.num_completions)


def cohens_kappa(both_yes: int, only_first: int, only_second: int, both_no: int) -> float | None:
    """Of a table of two raters' verdicts; None where chance alone makes them agree always."""
    total = both_yes + only_first + only_second + both_no
    first, second = (both_yes + only_first) / total, (both_yes + only_second) / total
    expected = first * second + (1 - first) * (1 - second)
    if expected == 1:
        return None
    return ((both_yes + both_no) / total - expected) / (1 - expected)


def _pair(a: int, b: int, first: dict[int, bool], second: dict[int, bool]) -> PairAgreement | None:
    shared = first.keys() & second.keys()
    if not shared:
        return None
    table = [sum((first[pk], second[pk]) == cell for pk in shared) for cell in _CELLS]
    raw = (table[0] + table[3]) / len(shared)
    return PairAgreement((a, b), len(shared), raw, cohens_kappa(*table))


_CELLS: Sequence[tuple[bool, bool]] = ((True, True), (True, False), (False, True), (False, False))


def _counts(verdicts: Iterable[Verdict]) -> Floats:
    """Yes and no of each completion that two people or more judged."""
    counted: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for one in verdicts:
        counted[one.completion][0 if one.is_yes else 1] += 1
    shared = [pair for pair in counted.values() if sum(pair) > 1]
    return np.array(shared, dtype=np.float64).reshape(-1, 2)


def _features(counts: Floats) -> Floats:
    """What the coefficients sum over completions: pairs that agree, share of yes, yes, no, odds."""
    yes, no = counts.T
    num = yes + no
    agreed = (yes * (yes - 1) + no * (no - 1)) / (num * (num - 1))
    return np.column_stack([agreed, yes / num, yes, no, 2 * yes * no / (num - 1)])


def _coefficients(sums: Floats, num_completions: int) -> tuple[Floats, Floats, Floats]:
    agreed, share, yes, no, disagreed = sums.T
    raw = agreed / num_completions
    prevalence = share / num_completions
    by_chance = 2 * prevalence * (1 - prevalence)
    ac1 = (raw - by_chance) / (1 - by_chance)
    expected = 2 * yes * no / (yes + no - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        alpha = np.where(expected > 0, 1 - disagreed / expected, np.nan)
    return raw, alpha, ac1


def _interval(value: float, spread: Floats) -> Coefficient:
    if np.isnan(value):
        return Coefficient(None)
    low, high = np.nanpercentile(spread, (2.5, 97.5))
    return Coefficient(float(value), float(low), float(high))
