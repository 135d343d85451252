"""All rules over a batch of texts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import polars as pl

from distill.logic.rules.base import Rule, RulesConfig
from distill.logic.rules.safety import HAZARD, REFUSAL
from distill.logic.rules.science import CITATION, NO_ACTION_VERB
from distill.logic.rules.text import BROKEN_FORMATTING, TOO_SHORT
from distill.logic.types import Evidence

RULES: tuple[Rule, ...] = (
    TOO_SHORT,
    NO_ACTION_VERB,
    CITATION,
    BROKEN_FORMATTING,
    REFUSAL,
    HAZARD,
)
"""In the order in which their findings are listed. A new rule is added here."""

_SURROGATE = re.compile("[\ud800-\udfff]")


def apply_rules(texts: Sequence[str], config: RulesConfig) -> list[tuple[Evidence, ...]]:
    """What each rule that is switched on found in each text; one tuple per text, in their order.

    Every text is looked at by every rule, and a text gives at most one finding per rule. Offsets
    count characters of the text as it was given.
    """
    # A half of a surrogate pair cannot be UTF-8; as U+FFFD it is a finding of its own.
    column = pl.Series("text", list(map(_whole, texts)), dtype=pl.String)
    rules = [rule for rule in RULES if config.is_on(rule.code)]
    hits = column.to_frame().select(_hits(config))
    found: list[list[Evidence]] = [[] for _text in texts]
    for rule in rules:
        is_hit = hits[rule.code.value]
        # Gathering evidence costs some milliseconds even of no text at all.
        if is_hit.any():
            evidence = rule.evidence(column.filter(is_hit), config)
            for row, finding in zip(is_hit.arg_true(), evidence, strict=True):
                found[row].append(finding)
    return [tuple(findings) for findings in found]


@lru_cache(maxsize=32)
def _hits(config: RulesConfig) -> list[pl.Expr]:
    """A column of booleans for each rule that is switched on, named by its code."""
    return [
        rule.hits(pl.col("text"), config).alias(rule.code.value)
        for rule in RULES
        if config.is_on(rule.code)
    ]


def _whole(text: str) -> str:
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)
