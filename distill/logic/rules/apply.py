"""All rules over a batch of texts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import polars as pl

from distill.logic.rules.approval import NO_APPROVAL
from distill.logic.rules.base import Rule, RulesConfig
from distill.logic.rules.claims import NO_PREDICTION, NO_PROCEDURE
from distill.logic.rules.cut_short import CUT_SHORT
from distill.logic.rules.formatting import BROKEN_FORMATTING
from distill.logic.rules.grounding import COPIED_SOURCE, OFF_SOURCE
from distill.logic.rules.hedging import HEDGING
from distill.logic.rules.language import OTHER_LANGUAGE
from distill.logic.rules.length import EMPTY_FIELD, TOO_LONG, TOO_SHORT
from distill.logic.rules.personal_data import PERSONAL_DATA
from distill.logic.rules.placeholder import PLACEHOLDER
from distill.logic.rules.refusal import REFUSAL
from distill.logic.rules.repetition import REPETITION
from distill.logic.rules.safety import HAZARD, PATHOGEN
from distill.logic.rules.science import CITATION, NO_ACTION_VERB
from distill.logic.types import Evidence, RuleText

RULES: tuple[Rule, ...] = (
    TOO_SHORT,
    TOO_LONG,
    CUT_SHORT,
    EMPTY_FIELD,
    NO_ACTION_VERB,
    CITATION,
    BROKEN_FORMATTING,
    PLACEHOLDER,
    REFUSAL,
    HEDGING,
    REPETITION,
    OTHER_LANGUAGE,
    COPIED_SOURCE,
    OFF_SOURCE,
    NO_PREDICTION,
    NO_PROCEDURE,
    HAZARD,
    PATHOGEN,
    NO_APPROVAL,
    PERSONAL_DATA,
)
"""In the order in which their findings are listed. A new rule is added here."""

RULE_COLUMNS = {
    "text": pl.String,
    "source": pl.String,
    "hypothesis": pl.String,
    "method": pl.String,
    "tokens": pl.Int64,
}

_SURROGATE = re.compile("[\ud800-\udfff]")


def apply_rules(completions: Sequence[RuleText], config: RulesConfig) -> list[tuple[Evidence, ...]]:
    """What each rule that is switched on found in each completion; one tuple each, in their order.

    Every completion is looked at by every rule, and gives at most one finding per rule; findings
    whose reason is a flag are among them. Offsets count characters of the text as it was given.
    """
    rules = [rule for rule in RULES if config.is_on(rule.code)]
    frame = examine(rule_frame(completions), config)
    found: list[list[Evidence]] = [[] for _completion in completions]
    for rule in rules:
        is_hit = frame[rule.code.value]
        # Gathering evidence costs some milliseconds even of no text at all.
        if is_hit.any():
            evidence = rule.evidence(frame.filter(is_hit), config)
            for row, finding in zip(is_hit.arg_true(), evidence, strict=True):
                found[row].append(finding)
    return [tuple(findings) for findings in found]


def rule_frame(completions: Sequence[RuleText]) -> pl.DataFrame:
    """The columns that rules look at, a row for each completion."""
    return pl.DataFrame(
        {
            # A half of a surrogate pair cannot be UTF-8; as U+FFFD it is a finding of its own.
            "text": [_whole(one.text) for one in completions],
            "source": [_whole(one.source) for one in completions],
            "hypothesis": [_whole(one.fields.get("hypothesis", "")) for one in completions],
            "method": [_whole(one.fields.get("methodology", "")) for one in completions],
            "tokens": [one.tokens for one in completions],
        },
        schema=RULE_COLUMNS,
    )


def examine(frame: pl.DataFrame, config: RulesConfig) -> pl.DataFrame:
    """The frame with every measure, and a column of booleans by each rule's code.

    Only of the rules that are switched on.
    """
    measures, hits = _expressions(config)
    return frame.with_columns(measures).with_columns(hits)


def near_misses(frame: pl.DataFrame, rule: Rule, config: RulesConfig) -> pl.Series:
    """How near each row comes to the rule without hitting: up to 1, null where not near at all.

    `frame` holds what the rule looks at: the texts, or for a rule with measures those alone.
    """
    if rule.near is None:
        return pl.Series("near", [None] * len(frame), dtype=pl.Float64)
    known = {
        name: measure
        for name, measure in rule.measures(config).items()
        if name not in frame.columns
    }
    measured = frame.with_columns(**known)
    near = pl.when(~rule.hits(config)).then(rule.near(config))
    return measured.select(near.cast(pl.Float64).alias("near"))["near"]


@lru_cache(maxsize=32)
def _expressions(config: RulesConfig) -> tuple[list[pl.Expr], list[pl.Expr]]:
    rules = [rule for rule in RULES if config.is_on(rule.code)]
    measures: dict[str, pl.Expr] = {}
    for rule in rules:
        measures |= rule.measures(config)
    return (
        [expression.alias(name) for name, expression in measures.items()],
        [rule.hits(config).alias(rule.code.value) for rule in rules],
    )


def _whole(text: str) -> str:
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)
