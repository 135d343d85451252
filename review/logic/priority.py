"""Which completions come first, and the reason that their cards give for it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from distill.logic.gate import TOLERANCE
from distill.logic.reasons import FLAGS, Reason

Why = Literal["flagged", "disagreed", "near_threshold", "regenerated"]

NEAR = 0.05
"""So near to the gate's lowest mean score a person tells most: the gate is unsure on both sides."""

MUST_LOOK = tuple(sorted(FLAGS - {Reason.JUDGES_DISAGREE, Reason.NEAR_THRESHOLD}))
"""Flags that speak of harm: the other two speak of what the judges are unsure of."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason to come early: its code, what the card says, and what it weighs."""

    code: Why
    label: str
    weight: int


# Each weighs more than all below it together: so the first that holds decides, then the others.
CAUSES: tuple[Cause, ...] = (
    Cause("flagged", "a rule or a judge raised a flag", 8),
    Cause("disagreed", "the judges disagree", 4),
    Cause("near_threshold", "its score is near the gate's threshold", 2),
    Cause("regenerated", "it was generated again", 1),
)
_LABELS = {cause.code: cause.label for cause in CAUSES}


def label_of(why: str) -> str:
    """What the card says; nothing where a completion comes in its turn."""
    return _LABELS.get(why, "")  # type: ignore[call-overload, no-any-return]


def weigh(
    *,
    flags: Collection[Reason],
    mean_score: float | None,
    min_mean: float | None,
    attempt: int,
) -> tuple[float, Why | Literal[""]]:
    """The priority of a completion, higher ones first, and the code of what weighs most in it.

    `min_mean` is the gate's lowest mean score, None where no gate has looked. The database reckons
    the same in `review.queries.planned`.
    """
    holds: dict[Why, bool] = {
        "flagged": any(flag in flags for flag in MUST_LOOK),
        "disagreed": Reason.JUDGES_DISAGREE in flags,
        "near_threshold": Reason.NEAR_THRESHOLD in flags or _is_near(mean_score, min_mean),
        "regenerated": attempt > 1,
    }
    found = [cause for cause in CAUSES if holds[cause.code]]
    return float(sum(cause.weight for cause in found)), found[0].code if found else ""


def _is_near(mean_score: float | None, min_mean: float | None) -> bool:
    if mean_score is None or min_mean is None:
        return False
    return abs(mean_score - min_mean) <= NEAR + TOLERANCE
