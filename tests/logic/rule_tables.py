"""Checks one rule on one text; shared by the tables of the rules' tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from distill.logic.reasons import Reason
from distill.logic.rules import (
    Rule,
    RulesConfig,
    apply_rules,
    examine,
    near_misses,
    rule_frame,
)
from distill.logic.rules.apply import RULES
from distill.logic.types import Evidence, RuleText

CONFIG = RulesConfig()
GOOD = (
    "Prepare cultures of E. coli (strain K-12) at 37 °C, measure optical density every 30 min for "
    "8 h, and compare the growth rate with an untreated control in three replicates."
)


def only(rule: Rule) -> RulesConfig:
    """A configuration with this rule alone."""
    return RulesConfig(**{other.code.value: other is rule for other in RULES})


def findings(
    rule: Rule,
    text: str,
    config: RulesConfig | None = None,
    *,
    fields: Mapping[str, str] | None = None,
    tokens: int | None = None,
) -> tuple[Evidence, ...]:
    """What the rule (or a configuration's rules) finds in one text."""
    completion = RuleText(text, fields=fields or {}, tokens=tokens)
    return apply_rules([completion], config or only(rule))[0]


def nearness(rule: Rule, text: str, config: RulesConfig = CONFIG) -> float | None:
    """How near the text comes to the rule."""
    near: float | None = near_misses(rule_frame([RuleText(text)]), rule, config)[0]
    return near


def examined(rule: Rule, text: str, **fields: str) -> dict[str, Any]:
    """The rule's columns for one text."""
    frame = rule_frame([RuleText(text, fields=fields)])
    return examine(frame, only(rule)).row(0, named=True)


def check(rule: Rule, text: str, reason: Reason | None, quoted: str = "") -> None:
    """The rule finds `reason` (None: nothing) in the text, and marks `quoted` where it is given."""
    found = findings(rule, text)
    assert [finding.reason for finding in found] == ([reason] if reason else [])
    if quoted:
        assert text[found[0].start : found[0].end] == quoted
