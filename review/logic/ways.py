"""How a queue is worked through, beside what it takes and how many reviews it wants."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from distill.logic.errors import InputError
from distill.logic.reasons import REVIEWER_REASONS

MODES = ("blind", "assisted", "pairwise")
MOST_RANDOM = 50


@dataclass(frozen=True, slots=True)
class Ways:
    """`overlap_share`: per cent of the completions that get all reviews, the others one.

    `random_share`: per cent of the cards that come from a random stream, without which agreement and
    the judge would be measured on what was chosen for being doubtful; 15 to 20 are usual.
    `reject_reasons`: what a reviewer may give, in the order of the digits; none means all nine.
    Raises InputError for what is out of bounds.
    """

    mode: str = "blind"
    overlap_share: int = 100
    random_share: int = 15
    reject_reasons: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise InputError(f"There is no mode {self.mode!r}; there are {', '.join(MODES)}.")
        if not 0 <= self.overlap_share <= 100:
            raise InputError("The overlap is a share from 0 to 100 per cent.")
        if not 0 <= self.random_share <= MOST_RANDOM:
            raise InputError(f"The random stream is a share from 0 to {MOST_RANDOM} per cent.")
        known = {reason.value for reason in REVIEWER_REASONS}
        if unknown := [one for one in self.reject_reasons if one not in known]:
            raise InputError(f"{unknown[0]} is not a reason that a reviewer gives.")

    def as_row(self) -> dict[str, object]:
        """As the columns of a queue."""
        return {**asdict(self), "reject_reasons": list(self.reject_reasons)}
