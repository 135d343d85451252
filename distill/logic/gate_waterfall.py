"""From every reply to what people accepted, one step for each check that takes any.

Counted over a frame of `what_if.decide_all`; each step says where those went that it lost, by a
name of `rows_of`, which finds the very same completions again.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from distill.logic.reasons import Reason, Stage
from distill.logic.what_if import LOOKED_AT, SHOWN

LOW_YIELD, HIGH_YIELD = 0.10, 0.95
"""Outside of these an alert is due: a broken prompt or gate, or one that tells nothing apart.

A judgement over what seven published pipelines let through: 14 to 85 %.
"""


@dataclass(frozen=True, slots=True)
class GateStep:
    """How many got this far, how many were lost on the way (`lost_show`), how many it hits in all."""

    label: str
    count: int
    show: str
    lost: int = 0
    lost_show: str = ""
    hits: int = 0


@dataclass(frozen=True, slots=True)
class Alert:
    """What is wrong with a yield, and the likeliest cause."""

    share: float
    text: str


def gate_steps(decided: pl.DataFrame) -> tuple[GateStep, ...]:
    """The steps from all open completions to those that people accepted; rules that lose nobody are left out."""
    lost = dict(decided.group_by("lost_at").len().iter_rows())
    left = len(decided)
    steps = [GateStep("Replied", left, "all")]
    for code in LOOKED_AT:
        if code.stage not in (Stage.PARSE, Stage.RULES) or code.is_flag:
            continue
        left, steps = _after(decided, code, lost, left, steps)
    unjudged = _count(decided, "unjudged")
    left -= unjudged
    steps.append(GateStep("Judged", left, "judged", unjudged, "unjudged", unjudged))
    for code in (Reason.JUDGE_INVALID, Reason.LOW_SCORE):
        left, steps = _after(decided, code, lost, left, steps)
    steps.append(GateStep("Passed the gate", left, "passed"))
    undecided = _count(decided, "not_reviewed")
    steps.append(
        GateStep(
            "Accepted by people", left - undecided, "reviewed", undecided, "not_reviewed", undecided
        )
    )
    return tuple(steps)


def _after(
    decided: pl.DataFrame, code: Reason, lost: dict[str, int], left: int, steps: list[GateStep]
) -> tuple[int, list[GateStep]]:
    hits = int(decided[code.value].sum())
    if not hits:
        return left, steps
    taken = lost.get(code.value, 0)
    left -= taken
    step = GateStep(code.label, left, f"after:{code.value}", taken, f"first:{code.value}", hits)
    return left, [*steps, step]


def _count(decided: pl.DataFrame, show: str) -> int:
    return len(rows_of(decided, show))


def rows_of(decided: pl.DataFrame, show: str) -> pl.DataFrame:
    """The completions behind a number, by its name; KeyError for an unknown one.

    `all`, `judged`, `unjudged`, `passed`, `reviewed` (passed, and accepted by people) and
    `not_reviewed`, `accepted` (what an export by the gate takes) and `kept_out`,
    `must_review`, `exported`; `has:<code>` hit by a check, `first:<code>` lost there, `after:<code>` left after it.
    """
    kind, _colon, code = show.partition(":")
    if not code:
        return decided.filter(SHOWN[kind])
    Reason(code)
    if kind == "has":
        return decided.filter(pl.col(code))
    if kind == "first":
        return decided.filter(pl.col("lost_at").eq_missing(code))
    if kind == "after":
        order = [one.value for one in LOOKED_AT]
        gone = order[: order.index(code) + 1]
        is_late = Reason(code).stage is not Stage.RULES and Reason(code).stage is not Stage.PARSE
        left = decided.filter(~pl.col("lost_at").is_in(gone).fill_null(value=False))
        return left.filter(~pl.col("is_unjudged")) if is_late else left
    raise KeyError(show)


def yield_alert(steps: tuple[GateStep, ...]) -> Alert | None:
    """What to say where under 10 % or over 95 % of what was answered passes the gate."""
    total = steps[0].count
    passed = next(step.count for step in steps if step.show == "passed")
    if not total:
        return None
    share = passed / total
    at_gate = steps[: 1 + next(i for i, step in enumerate(steps) if step.show == "passed")]
    worst = max(at_gate, key=lambda step: step.lost)
    if share < LOW_YIELD:
        cause = f"“{worst.label}” takes most: {worst.lost:,} of {total:,}."
        if worst.show == "judged":
            cause = f"{worst.lost:,} of {total:,} have not been judged."
        return Alert(share, f"Under 10 % pass. {cause} Look at some of them before you loosen it.")
    if share > HIGH_YIELD:
        return Alert(
            share,
            "Over 95 % pass: this gate hardly tells good from bad. "
            + (f"“{worst.label}” rejects most, {worst.lost:,}. " if worst.lost else "It rejects none. ")
            + "Compare it with what people decide, or raise the threshold on the mean.",
        )  # fmt: skip
    return None
