"""The screening of an export: what a recipe says of it, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import model_validator

from distill.logic.documents import Document, between
from distill.logic.reasons import Reason


class ScreeningConfig(Document):
    """`max_similarity`: exact Jaccard of the runs of five words from which on two texts are copies;
    from `flag_above` on (None: nowhere) they are only noted. A run of `drop_words` words in common
    with held-out text drops a training completion, one of `flag_words` is only noted. Without
    `contamination` the operator's files are not looked at; the dataset's held-out splits always are."""

    duplicate_prompts: bool = True
    duplicate_pairs: bool = True
    max_similarity: Annotated[float, between(0.5, 1)] = 0.8
    flag_above: Annotated[float, between(0.5, 1)] | None = None
    contamination: bool = True
    flag_words: Annotated[int, between(5, 100)] = 8
    drop_words: Annotated[int, between(5, 100)] = 13

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.flag_above is not None and self.flag_above > self.max_similarity:
            raise ValueError(
                f"flag_above is {self.flag_above}, at most max_similarity ({self.max_similarity})"
            )
        if self.flag_words > self.drop_words:
            raise ValueError(
                f"flag_words is {self.flag_words}, at most drop_words ({self.drop_words})"
            )
        return self

    @property
    def lowest_similarity(self) -> float:
        """From where on pairs have to be found."""
        return self.max_similarity if self.flag_above is None else self.flag_above


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a completion is dropped (or only flagged). `place` and `other` are places in a ranking.

    `similarity` is the exact Jaccard of two copies; `held_out` names the file or the split.
    """

    place: int
    reason: Reason
    is_dropped: bool
    other: int | None = None
    held_out: str = ""
    similarity: float | None = None
    matched_text: str = ""
