"""The rule on places that were to be filled in, and were not."""

from __future__ import annotations

from distill.logic.reasons import Reason
from distill.logic.rules.base import pattern_rule

_UNITS = r"(?:[cmµμn]?[gLlMm]|kg|kDa|Hz|[kM]?Pa|mol|°C|%|hours?|h|min|minutes|days|weeks|mg/\w+)"

_PLACEHOLDERS = (
    # `\B` before a brace: not after a letter, so LaTeX's \text{input} and x_{input} are left alone.
    r"\B\{(?:answer|context|domain|hypothesis|input|instruction|methodology|passage|placeholder"
    r"|prompt|question|source|system_prompt|template_name|text|title|user_prompt)\}",
    r"\B\{\{[^{}\n]{1,40}\}\}",
    r"(?i:\[(?:insert|placeholder|todo|tbd|your)\b[^\]\n]{0,60}\])",
    r"(?i:\[(?:compound|concentration|date|dose|duration|gene|gene name|name|number|organism"
    r"|species|temperature|unit|units|value|variable)\])",
    # [Ca2+] and [S] are concentrations, [x] is a box that was ticked.
    r"\[X{1,3}\]",
    r"(?i:<(?:add|enter|fill in|insert|name of|number of|placeholder|specify|value of|your)\b"
    r"[^<>\n]{0,60}>)",
    # "XX mg" and "X.X mM"; "10X PBS", "300 X g" and "XX females" are none.
    rf"\bX{{2,4}}\s?{_UNITS}(?:[^\w]|$)|\bX\.X{{1,2}}\b",
    r"\bX\s?(?:mg|mL|ml|µL|µl|µg|mM|µM|nM|°C)\b",
    r"_{4,}",
    r"\b(?:TODO|FIXME|TBD|TKTK)\b",
    r"(?i:\blorem ipsum\b|\b(?:text|answer|hypothesis|method|methodology) goes here\b)",
)
_ALMOST = (
    r"\[[A-Z]\]|\{[a-z_]{2,20}\}|<[a-z][a-z _]{1,40}>|(?i:\bto be (?:added|defined|determined)\b)"
)

PLACEHOLDER = pattern_rule(
    Reason.PLACEHOLDER,
    "|".join(_PLACEHOLDERS),
    near=_ALMOST,
    says="Drops what has a place left that somebody was to fill in: [X], XX mg, {context}, TBD.",
)
