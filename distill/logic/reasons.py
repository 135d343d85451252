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
    SCREENING = "screening"


class Reason(StrEnum):
    UNPARSEABLE = "unparseable"
    MISSING_FIELD = "missing_field"
    TRUNCATED = "truncated"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    CUT_SHORT = "cut_short"
    EMPTY_FIELD = "empty_field"
    NO_ACTION_VERB = "no_action_verb"
    CITATION = "citation"
    BROKEN_FORMATTING = "broken_formatting"
    PLACEHOLDER = "placeholder"
    REFUSAL = "refusal"
    HEDGING = "hedging"
    REPETITION = "repetition"
    OTHER_LANGUAGE = "other_language"
    COPIED_SOURCE = "copied_source"
    OFF_SOURCE = "off_source"
    NO_PREDICTION = "no_prediction"
    NO_PROCEDURE = "no_procedure"
    JUDGE_INVALID = "judge_invalid"
    JUDGE_MISSING = "judge_missing"
    LOW_SCORE = "low_score"
    SAFETY = "safety"
    HAZARD = "hazard"
    PATHOGEN = "pathogen"
    NO_APPROVAL = "no_approval"
    PERSONAL_DATA = "personal_data"
    JUDGES_DISAGREE = "judges_disagree"
    NEAR_THRESHOLD = "near_threshold"
    DUPLICATE_PROMPT = "duplicate_prompt"
    DUPLICATE_PAIR = "duplicate_pair"
    CONTAMINATED = "contaminated"
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

    @property
    def is_flag(self) -> bool:
        """It rejects nothing, but keeps a completion out of every export until a person accepts it."""
        return self in FLAGS


FLAGS = frozenset(
    {
        Reason.SAFETY,
        Reason.HAZARD,
        Reason.PATHOGEN,
        Reason.NO_APPROVAL,
        Reason.PERSONAL_DATA,
        Reason.JUDGES_DISAGREE,
        Reason.NEAR_THRESHOLD,
    }
)
"""What a person must look at. `SAFETY` is a judge's; the next four are those of rules."""

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
    Reason.TOO_LONG: "Too long",
    Reason.CUT_SHORT: "Ends in the middle of a sentence",
    Reason.EMPTY_FIELD: "A field says nothing",
    Reason.NO_ACTION_VERB: "No action verb",
    Reason.CITATION: "Citation or bracketed reference",
    Reason.BROKEN_FORMATTING: "Broken formatting",
    Reason.PLACEHOLDER: "Placeholder left in",
    Reason.REFUSAL: "Teacher refused",
    Reason.HEDGING: "Hedges instead of claiming",
    Reason.REPETITION: "Repeats itself",
    Reason.OTHER_LANGUAGE: "Not in the wanted language",
    Reason.COPIED_SOURCE: "Copied from the source",
    Reason.OFF_SOURCE: "Has little in common with the source",
    Reason.NO_PREDICTION: "Hypothesis predicts nothing measurable",
    Reason.NO_PROCEDURE: "Method names no procedure",
    Reason.JUDGE_INVALID: "Judge's reply was invalid",
    Reason.JUDGE_MISSING: "Judge gave no reply",
    Reason.LOW_SCORE: "Judge score below the threshold",
    Reason.SAFETY: "Safety flag of a judge",
    Reason.HAZARD: "Hazardous synthesis or weapon",
    Reason.PATHOGEN: "Pathogen beyond BSL-2",
    Reason.NO_APPROVAL: "Human or animal work without approval",
    Reason.PERSONAL_DATA: "Personal data",
    Reason.JUDGES_DISAGREE: "Judges disagree",
    Reason.NEAR_THRESHOLD: "Close to the threshold",
    Reason.DUPLICATE_PROMPT: "Same prompt as a better one",
    Reason.DUPLICATE_PAIR: "Same prompt and answer as a better one",
    Reason.CONTAMINATED: "Overlaps with held-out text",
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
    **dict.fromkeys((Reason.UNPARSEABLE, Reason.MISSING_FIELD, Reason.TRUNCATED), Stage.PARSE),
    **dict.fromkeys(
        (
            Reason.TOO_SHORT,
            Reason.TOO_LONG,
            Reason.CUT_SHORT,
            Reason.EMPTY_FIELD,
            Reason.NO_ACTION_VERB,
            Reason.CITATION,
            Reason.BROKEN_FORMATTING,
            Reason.PLACEHOLDER,
            Reason.REFUSAL,
            Reason.HEDGING,
            Reason.REPETITION,
            Reason.OTHER_LANGUAGE,
            Reason.COPIED_SOURCE,
            Reason.OFF_SOURCE,
            Reason.NO_PREDICTION,
            Reason.NO_PROCEDURE,
            Reason.HAZARD,
            Reason.PATHOGEN,
            Reason.NO_APPROVAL,
            Reason.PERSONAL_DATA,
        ),
        Stage.RULES,
    ),
    **dict.fromkeys((Reason.JUDGE_INVALID, Reason.JUDGE_MISSING), Stage.JUDGE),
    **dict.fromkeys(
        (Reason.LOW_SCORE, Reason.SAFETY, Reason.JUDGES_DISAGREE, Reason.NEAR_THRESHOLD), Stage.GATE
    ),
    **dict.fromkeys(
        (Reason.DUPLICATE_PROMPT, Reason.DUPLICATE_PAIR, Reason.CONTAMINATED), Stage.SCREENING
    ),
}


def in_order(reasons: Iterable[str]) -> list[Reason]:
    """Each of the reasons once, in the order of the vocabulary."""
    given = set(reasons)
    return [reason for reason in Reason if reason in given]
