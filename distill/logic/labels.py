"""What people's decisions on one completion come to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

OutcomeName = Literal["accepted", "rejected"]

_OUTCOMES: dict[str, OutcomeName] = {"accept": "accepted", "reject": "rejected"}


@dataclass(frozen=True, slots=True)
class Opinion:
    """One decision as the label sees it."""

    decision_id: int
    kind: str
    is_undone: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome, and the decision that it rests on."""

    decision_id: int
    name: OutcomeName


def resolve_outcome(opinions: Iterable[Opinion]) -> Outcome | None:
    """The outcome of the earliest decision that stands; None where nobody has decided.

    A further opinion (one that came after somebody else had taken the slot) is kept beside it and
    counts once the earlier one is undone: no silent majority, and nothing a latecomer overwrites.
    """
    standing = (one for one in opinions if one.kind in _OUTCOMES and not one.is_undone)
    first = min(standing, key=lambda one: one.decision_id, default=None)
    return Outcome(first.decision_id, _OUTCOMES[first.kind]) if first else None
