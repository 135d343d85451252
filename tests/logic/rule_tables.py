"""Checks one rule on one text; shared by the tables of the rules' tests."""

from __future__ import annotations

from distill.logic.reasons import Reason
from distill.logic.rules import Rule, RulesConfig, apply_rules
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


def findings(rule: Rule, text: str, config: RulesConfig | None = None) -> tuple[Evidence, ...]:
    return apply_rules([RuleText(text)], config or only(rule))[0]


def check(rule: Rule, text: str, reason: Reason | None, quoted: str = "") -> None:
    """The rule finds `reason` (None: nothing) in the text, and marks `quoted` where it is given."""
    found = findings(rule, text)
    assert [finding.reason for finding in found] == ([reason] if reason else [])
    if quoted:
        assert text[found[0].start : found[0].end] == quoted
