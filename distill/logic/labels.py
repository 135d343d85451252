"""What people's decisions on one completion come to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

OutcomeName = Literal["accepted", "rejected"]
BasisName = Literal["single", "unanimous", "adjudicated", "legacy"]

_OUTCOMES: dict[str, OutcomeName] = {
    "accept": "accepted",
    "edit": "accepted",
    "reject": "rejected",
}


@dataclass(frozen=True, slots=True)
class Opinion:
    """One decision as the label sees it.

    `required_reviews` is how many reviews its queue wanted; a legacy one was made elsewhere.
    """

    decision_id: int
    kind: str
    is_undone: bool
    required_reviews: int = 1
    is_legacy: bool = False
    is_adjudication: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome, the earliest decision that it rests on, and what makes it one."""

    decision_id: int
    name: OutcomeName
    basis: BasisName = "single"


def resolve_outcome(opinions: Iterable[Opinion]) -> Outcome | None:
    """What the decisions that stand come to; None where there is no label (yet).

    1. Only accept, edit and reject count, and only those that have not been undone.
    2. The strictest of the queues that they were made in says how many are wanted.
    3. One wanted: the earliest is the label. Several: the earliest so many have to agree. Until
       they are there, and where they disagree, there is no label: no silent majority. Where they
       agree to accept, the label rests on the earliest edit of them, so that its words are taken.
    4. Further ones are kept beside it, and count once an earlier one is undone: nothing that a
       latecomer overwrites.
    5. Legacy ones count only where nobody has decided here.
    6. Where a lead has settled it, that alone is the label: the newest such decision that stands.
    """
    standing = sorted(
        (one for one in opinions if one.kind in _OUTCOMES and not one.is_undone),
        key=lambda one: one.decision_id,
    )
    settled = [one for one in standing if one.is_adjudication]
    if settled:
        return _outcome(settled[-1], "adjudicated")
    made_here = [one for one in standing if not one.is_legacy]
    if not made_here:
        return _outcome(standing[0], "legacy") if standing else None
    num_wanted = max(one.required_reviews for one in made_here)
    counted = made_here[:num_wanted]
    if len(counted) < num_wanted or len({_OUTCOMES[one.kind] for one in counted}) > 1:
        return None
    resting_on = next((one for one in counted if one.kind == "edit"), counted[0])
    return _outcome(resting_on, "unanimous" if num_wanted > 1 else "single")


def _outcome(opinion: Opinion, basis: BasisName) -> Outcome:
    return Outcome(opinion.decision_id, _OUTCOMES[opinion.kind], basis)
