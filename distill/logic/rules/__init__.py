"""The rules that every completion must pass before a judge is asked."""

from __future__ import annotations

from distill.logic.rules.apply import RULES, apply_rules, examine, near_misses, rule_frame
from distill.logic.rules.base import Rule, RulesConfig

__all__ = ["RULES", "Rule", "RulesConfig", "apply_rules", "examine", "near_misses", "rule_frame"]
