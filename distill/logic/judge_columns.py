"""What a snapshot's columns of scores say under a gate: means, reasons, and who must still be asked.

    score:<judge>:<dimension> (null: none)           judge_state:<judge>: valid, invalid or null

A panel names the judges that count, each with its `only_near` (None: always asked).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from operator import or_

import polars as pl

from distill.logic.gate import TOLERANCE, GateConfig
from distill.logic.reasons import Reason

Panel = Mapping[str, float | None]
_SCORE, _STATE = "score:", "judge_state:"


def dimensions_of(frame: pl.DataFrame) -> list[str]:
    """The dimensions that any judge has scored, each once."""
    names = (name.split(":", 2)[2] for name in frame.columns if name.startswith(_SCORE))
    return list(dict.fromkeys(names))


def any_of(conditions: Iterable[pl.Expr]) -> pl.Expr:
    return reduce(or_, conditions, pl.lit(value=False))


def mean_columns(frame: pl.DataFrame, panel: Panel) -> list[pl.Expr]:
    """`mean_score` over all dimensions of the panel, `mean:<judge>` and `dimension:<name>`."""
    judges = _heard_of(frame, panel)
    scores = _scores_of(frame, judges)
    return [
        _mean(scores).alias("mean_score"),
        *(_mean(_scores_of(frame, [judge])).alias(f"mean:{judge}") for judge in judges),
        *(
            _mean([one for one in scores if one.split(":", 2)[2] == name]).alias(
                f"dimension:{name}"
            )
            for name in dimensions_of(frame)
        ),
    ]


def judge_hits(frame: pl.DataFrame, panel: Panel, gate: GateConfig) -> list[pl.Expr]:
    """The reasons and flags that follow from scores, as `gate.decide` finds them."""
    judges, known = _heard_of(frame, panel), set(dimensions_of(frame))
    low = [_below(pl.col("mean_score"), gate.min_mean)]
    low += [
        _below(pl.col(f"dimension:{name}"), minimum)
        for name, minimum in gate.min_scores.items()
        if name in known
    ]
    means = [pl.col(f"mean:{judge}") for judge in judges] or [pl.lit(None, pl.Float64)]
    spread = pl.max_horizontal(means) - pl.min_horizontal(means)
    distance = (pl.col("mean_score") - gate.min_mean).abs()
    return [
        any_of(
            pl.col(_STATE + judge).eq_missing("invalid") for judge in judges
        ).alias(Reason.JUDGE_INVALID.value),
        any_of(low).alias(Reason.LOW_SCORE.value),
        pl.col("flag:safety").alias(Reason.SAFETY.value),
        (spread > gate.max_disagreement + TOLERANCE).fill_null(value=False)
        .alias(Reason.JUDGES_DISAGREE.value),
        ((distance <= gate.review_band + TOLERANCE) & (gate.review_band > 0))
        .fill_null(value=False).alias(Reason.NEAR_THRESHOLD.value),
    ]  # fmt: skip


def is_unheard(frame: pl.DataFrame, panel: Panel, gate: GateConfig) -> pl.Expr:
    """A judge would have to be asked before the gate can decide: as `panel.judges_to_ask` says."""
    known = set(_heard_of(frame, panel))
    silent = {
        judge: pl.col(_STATE + judge).is_null() if judge in known else pl.lit(value=True)
        for judge in panel
    }
    first = [judge for judge, only_near in panel.items() if only_near is None]
    mean = _mean(_scores_of(frame, [judge for judge in first if judge in known]))
    distance = (mean - gate.min_mean).abs()
    second = [
        silent[judge] & (distance <= only_near + TOLERANCE).fill_null(value=False)
        for judge, only_near in panel.items()
        if only_near is not None
    ]
    return any_of([*(silent[judge] for judge in first), *second])


def _heard_of(frame: pl.DataFrame, panel: Panel) -> list[str]:
    """The panel's judges of whom the snapshot holds any opinion."""
    return [judge for judge in panel if _STATE + judge in frame.columns]


def _scores_of(frame: pl.DataFrame, judges: Sequence[str]) -> list[str]:
    begins = tuple(f"{_SCORE}{judge}:" for judge in judges)
    return [name for name in frame.columns if begins and name.startswith(begins)]


def _mean(columns: Sequence[str]) -> pl.Expr:
    if not columns:
        return pl.lit(None, pl.Float64)
    return pl.mean_horizontal(pl.col(columns).cast(pl.Float64))


def _below(score: pl.Expr, minimum: float) -> pl.Expr:
    return (score < minimum - TOLERANCE).fill_null(value=False)
