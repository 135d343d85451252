"""One vocabulary of rejection, shared by rules, judges, gate and reviewers."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Stage(StrEnum):
    """Where a completion can fail, in the order in which it is looked at."""

    PARSE = "parse"
    RULES = "rules"
    JUDGE = "judge"
    GATE = "gate"
    REVIEW = "review"


class Reason(StrEnum):
    UNPARSEABLE = "unparseable"
    MISSING_FIELD = "missing_field"
    TRUNCATED = "truncated"
    TOO_SHORT = "too_short"
    NO_ACTION_VERB = "no_action_verb"
    CITATION = "citation"
    BROKEN_FORMATTING = "broken_formatting"
    REFUSAL = "refusal"
    JUDGE_INVALID = "judge_invalid"
    JUDGE_MISSING = "judge_missing"
    LOW_SCORE = "low_score"
    SAFETY = "safety"
    NOT_FALSIFIABLE = "not_falsifiable"
    NOT_REPRODUCIBLE = "not_reproducible"
    NOT_GROUNDED = "not_grounded"
    IMPLAUSIBLE = "implausible"
    VAGUE_METHOD = "vague_method"
    UNSAFE = "unsafe"
    WRONG_FORMAT = "wrong_format"
    TRIVIAL = "trivial"
    OTHER = "other"

    @property
    def label(self) -> str:
        return _LABELS[self]

    @property
    def stage(self) -> Stage:
        return _STAGES.get(self, Stage.REVIEW)


REVIEWER_REASONS: tuple[Reason, ...] = (
    Reason.NOT_FALSIFIABLE,
    Reason.NOT_REPRODUCIBLE,
    Reason.NOT_GROUNDED,
    Reason.IMPLAUSIBLE,
    Reason.VAGUE_METHOD,
    Reason.UNSAFE,
    Reason.WRONG_FORMAT,
    Reason.TRIVIAL,
    Reason.OTHER,
)
"""What a reviewer may give, in the order of the digits 1 to 9."""

_LABELS = {
    Reason.UNPARSEABLE: "Reply could not be parsed",
    Reason.MISSING_FIELD: "A field of the template is missing",
    Reason.TRUNCATED: "Reply was cut off",
    Reason.TOO_SHORT: "Too short",
    Reason.NO_ACTION_VERB: "No action verb",
    Reason.CITATION: "Citation or bracketed reference",
    Reason.BROKEN_FORMATTING: "Broken formatting",
    Reason.REFUSAL: "Teacher refused",
    Reason.JUDGE_INVALID: "Judge's reply was invalid",
    Reason.JUDGE_MISSING: "Judge gave no reply",
    Reason.LOW_SCORE: "Judge score below the threshold",
    Reason.SAFETY: "Safety flag",
    Reason.NOT_FALSIFIABLE: "Not falsifiable",
    Reason.NOT_REPRODUCIBLE: "Not reproducible",
    Reason.NOT_GROUNDED: "Not grounded in the source",
    Reason.IMPLAUSIBLE: "Implausible",
    Reason.VAGUE_METHOD: "Method too vague",
    Reason.UNSAFE: "Unsafe",
    Reason.WRONG_FORMAT: "Wrong format",
    Reason.TRIVIAL: "Trivial or already known",
    Reason.OTHER: "Other",
}

_STAGES = {
    Reason.UNPARSEABLE: Stage.PARSE,
    Reason.MISSING_FIELD: Stage.PARSE,
    Reason.TRUNCATED: Stage.PARSE,
    Reason.TOO_SHORT: Stage.RULES,
    Reason.NO_ACTION_VERB: Stage.RULES,
    Reason.CITATION: Stage.RULES,
    Reason.BROKEN_FORMATTING: Stage.RULES,
    Reason.REFUSAL: Stage.RULES,
    Reason.JUDGE_INVALID: Stage.JUDGE,
    Reason.JUDGE_MISSING: Stage.JUDGE,
    Reason.LOW_SCORE: Stage.GATE,
    Reason.SAFETY: Stage.GATE,
}


def in_order(reasons: Iterable[str]) -> list[Reason]:
    """Each of the reasons once, in the order of the vocabulary."""
    given = set(reasons)
    return [reason for reason in Reason if reason in given]
