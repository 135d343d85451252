"""Which completions of a dataset a queue takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from distill.logic.documents import Document, between
from distill.logic.reasons import Reason

GateName = Literal["passed", "rejected", "both"]
AttemptsName = Literal["any", "regenerated"]
Words = Annotated[tuple[str, ...], Field(max_length=100)]

_GATE = {
    "passed": "passed the gate",
    "rejected": "was rejected by the gate",
    "both": "passed or was rejected by the gate",
}


class QueueFilter(Document):
    """What a completion must be to enter the queue; where nothing is said, everything fits.

    Only the attempt that counts of a sample × draw is looked at. Scores are mean scores from 0 to
    1; who was not scored has none, and is not within any limits. `share` is a percentage of what
    fits otherwise, chosen by a hash of the completion's key: the same ones whenever it is asked.
    `flagged` takes only what carries a flag, which no export takes before a person has accepted it;
    `near` only whose mean score is so near to the lowest that the gate of the latest run takes.
    """

    gate: GateName = "passed"
    reasons: tuple[Reason, ...] = ()
    domains: Words = ()
    templates: Words = ()
    score_min: Annotated[float, between(0, 1)] | None = None
    score_max: Annotated[float, between(0, 1)] | None = None
    attempts: AttemptsName = "any"
    share: Annotated[int, between(1, 100)] = 100
    flagged: bool = False
    near: Annotated[float, between(0, 0.5)] | None = None

    @model_validator(mode="after")
    def _check_together(self) -> QueueFilter:
        if self.reasons and self.gate != "rejected":
            raise PydanticCustomError(
                "reasons_without_rejection",
                "Only what the gate rejected has reasons: take what was rejected, or no reasons.",
            )
        if (
            self.score_min is not None
            and self.score_max is not None
            and self.score_min > self.score_max
        ):
            raise PydanticCustomError(
                "scores_crossed", "The lowest mean score is above the highest: no score fits."
            )
        return self

    @property
    def takes_all_passed(self) -> bool:
        """Whether everything that passes the gate fits."""
        return self.gate != "rejected" and self == QueueFilter(gate=self.gate)

    def describe(self) -> str:
        """What it takes, in words: "was rejected by the gate · soil science · 20 % of them"."""
        return " · ".join(self._parts())

    def _parts(self) -> Iterator[str]:
        yield _GATE[self.gate]
        if self.reasons:
            yield "for " + " or ".join(reason.label.lower() for reason in self.reasons)
        if self.domains:
            yield " or ".join(domain or "no domain" for domain in self.domains)
        if self.templates:
            yield f"template {' or '.join(self.templates)}"
        if self.score_min is not None or self.score_max is not None:
            low, high = self.score_min or 0, 1 if self.score_max is None else self.score_max
            yield f"mean score {low:.2f} to {high:.2f}"
        if self.near is not None:
            yield f"mean score within {self.near:.2f} of the gate's threshold"
        if self.attempts == "regenerated":
            yield "regenerated ones"
        if self.flagged:
            yield "flagged ones"
        if self.share < 100:
            yield f"{self.share} % of them"
