"""Rules on the form of a text: too short, broken formatting."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from distill.logic.reasons import Reason
from distill.logic.rules.base import Rule, RulesConfig, excerpt, first_matches, with_ascii_edges
from distill.logic.types import Evidence


def _chars(_config: RulesConfig) -> Mapping[str, pl.Expr]:
    return {"chars": pl.col("text").str.strip_chars().str.len_chars()}


def _is_too_short(config: RulesConfig) -> pl.Expr:
    return pl.col("chars") <= config.min_chars


def _shortness(frame: pl.DataFrame, config: RulesConfig) -> list[Evidence]:
    return [
        Evidence(Reason.TOO_SHORT, f"{length} characters, more than {config.min_chars} are needed")
        for length in frame["chars"]
    ]


TOO_SHORT = Rule(Reason.TOO_SHORT, _is_too_short, _shortness, _chars)


@dataclass(frozen=True, slots=True)
class _Fault:
    """One way in which formatting breaks: found by its pattern, else by counting."""

    detail: str
    pattern: str = ""
    counts: Callable[[pl.Expr], pl.Expr] | None = None

    def hits(self, column: pl.Expr) -> pl.Expr:
        return self.counts(column) if self.counts else column.str.contains(self.pattern)


def _has_odd(pattern: str, but_not: str = "") -> Callable[[pl.Expr], pl.Expr]:
    def counts(column: pl.Expr) -> pl.Expr:
        number = column.str.count_matches(pattern)
        if but_not:
            number += column.str.count_matches(but_not)
        return number % 2 == 1

    return counts


# Counted over all kinds, so that half-open intervals such as [0, 1) are balanced.
_OPENING = r"[(\[{]"
_CLOSING = r"[)\]}]"
# "1) Prepare", "b) Wash", "iv) Image": these close nothing.
_ENUMERATOR = r"(?m)(?:^|[\s,;:])(?:\d{1,2}|[A-Za-z]|[ivxIVX]{1,4})\)"


def _has_unclosed(column: pl.Expr) -> pl.Expr:
    return column.str.count_matches(_OPENING) > column.str.count_matches(_CLOSING)


def _has_unopened(column: pl.Expr) -> pl.Expr:
    allowed = column.str.count_matches(_OPENING) + column.str.count_matches(_ENUMERATOR)
    return column.str.count_matches(_CLOSING) > allowed


# `\B` before a brace: not after a letter, so LaTeX's \text{input} and x_{input} are left alone.
_PLACEHOLDER = with_ascii_edges(
    r"\B\{(?:answer|context|domain|hypothesis|input|instruction|methodology|passage|placeholder"
    r"|prompt|question|source|system_prompt|template_name|text|title|user_prompt)\}"
    r"|\B\{\{[^{}\n]{1,40}\}\}"
    r"|(?i:\[(?:insert|placeholder|todo|tbd|your)\b[^\]\n]{0,60}\])"
    r"|\b(?:TODO|FIXME)\b|(?i:\blorem ipsum\b)"
)
_MARKUP = with_ascii_edges(
    r"<\|[a-z_]{1,30}\|>|\[/?INST\]"
    r"|</?(?:answer|passage|rejected_answer|s|think)>"
    r"|(?i:</?(?:body|br|div|font|html|li|ol|script|span|style|table|td|tr|ul)\b[^<>\n]{0,200}>)"
    r"|&(?:amp|gt|lt|nbsp|quot|#\d{1,6});"
)
# "\n" spelt out is a reply that was escaped twice; \nu and \nabla are LaTeX.
_ESCAPED = r"\\n(?:\\n|\s|\d|-|$)"
_REPR = with_ascii_edges(r"\b(?:ChatCompletion\w*|Choice)\(")
_ENDS_IN_MARKUP = r"(?:^|\n)[ \t]*(?:[-*•]|\d{1,2}[.)]|#{1,6}(?:[ \t][^\n]*)?)\s*$"

_FAULTS = (
    _Fault("replacement or control character", r"[\x{FFFD}\x00-\x08\x0B\x0C\x0E-\x1F\x7F]"),
    _Fault("placeholder that nobody filled", _PLACEHOLDER),
    _Fault("markup of a page or a prompt", _MARKUP),
    _Fault("escaped line break", _ESCAPED),
    _Fault("printed program object", _REPR),
    _Fault("ends in a list mark or heading", _ENDS_IN_MARKUP),
    _Fault("code fence left open", counts=_has_odd("(?m)^[ \\t]*```")),
    # 10**3 is arithmetic: counted twice, it never makes the number odd.
    _Fault("bold mark left open", counts=_has_odd(r"\*\*", but_not=r"\d\*\*[-+]?\d")),
    _Fault("bracket left open", counts=_has_unclosed),
    _Fault("bracket closed that was never opened", counts=_has_unopened),
)


def _is_broken(_config: RulesConfig) -> pl.Expr:
    return pl.any_horizontal([fault.hits(pl.col("text")) for fault in _FAULTS])


def _breakage(frame: pl.DataFrame, _config: RulesConfig) -> list[Evidence]:
    """The first fault of each text, in the order above."""
    found: list[Evidence | None] = [None] * len(frame)
    texts = frame.select("text").with_row_index("row")
    for fault in _FAULTS:
        hit = texts.filter(fault.hits(pl.col("text")))
        rows, hit_texts = hit["row"], hit["text"]
        for row, evidence in zip(rows, _fault_evidence(fault, hit_texts), strict=True):
            found[row] = found[row] or evidence
    return [evidence for evidence in found if evidence]


def _fault_evidence(fault: _Fault, texts: pl.Series) -> Sequence[Evidence]:
    if fault.counts:
        return [Evidence(Reason.BROKEN_FORMATTING, fault.detail)] * len(texts)
    return [
        Evidence(Reason.BROKEN_FORMATTING, f'{fault.detail}: "{excerpt(match)}"', start, end)
        for start, end, match in first_matches(texts, fault.pattern)
    ]


BROKEN_FORMATTING = Rule(Reason.BROKEN_FORMATTING, _is_broken, _breakage)
