"""A verdict's scores as a table: judge by dimension, beside the thresholds that decided."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from distill.logic.gate import TOLERANCE, GateConfig


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One dimension, or the mean of all: each judge's score (None where it gave none)."""

    name: str
    scores: tuple[float | None, ...]
    mean: float
    minimum: float | None

    @property
    def is_low(self) -> bool:
        return self.minimum is not None and self.mean < self.minimum - TOLERANCE


@dataclass(frozen=True, slots=True)
class ScoreTable:
    judges: tuple[str, ...]
    rows: tuple[ScoreRow, ...]


def score_table(scores: Mapping[str, Mapping[str, float]], gate: GateConfig) -> ScoreTable:
    """Scores by judge, then by dimension; no rows where nobody has scored.

    A dimension's mean is over the judges that scored it, the last row's over all scores, as
    `gate.decide` takes them.
    """
    judges = {name: given for name, given in scores.items() if given}
    dimensions = dict.fromkeys(name for given in judges.values() for name in given)
    if not dimensions:
        return ScoreTable((), ())
    rows = [
        _row(name, [given.get(name) for given in judges.values()], gate.min_scores.get(name))
        for name in dimensions
    ]
    means = tuple(_mean(given.values()) for given in judges.values())
    whole = _mean(score for given in judges.values() for score in given.values())
    return ScoreTable(tuple(judges), (*rows, ScoreRow("mean", means, whole, gate.min_mean)))


def _row(name: str, scores: list[float | None], minimum: float | None) -> ScoreRow:
    mean = _mean(score for score in scores if score is not None)
    return ScoreRow(name, tuple(scores), mean, minimum)


def _mean(values: Iterable[float]) -> float:
    known = list(values)
    return sum(known) / len(known)
