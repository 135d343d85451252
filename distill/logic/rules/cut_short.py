"""The rule on texts that end before they are said.

That the provider stopped at its limit is known when the reply is parsed (TRUNCATED); this rule
reads it from the text, for replies that were imported, cut by a proxy, or given up by the model.
Looked at are the last `TAIL` characters of the text, and of the hypothesis where it has one.
"""

from __future__ import annotations

import polars as pl

from distill.logic.reasons import Reason
from distill.logic.rules.base import LOOSELY, Rule, RulesConfig, excerpt, with_ascii_edges
from distill.logic.types import Evidence

TAIL = 400

# Words after which more must come. Without "a" (a lattice constant), "before and after", "on".
_OPEN_WORD = (
    r"\b(?:an|and|are|as|at|because|been|between|but|by|each of|for|from|if|in|into|is|its|nor|of"
    r"|or|our|than|that|the|their|to|using|versus|via|was|were|when|whereas|which|while|will|with"
    r"|within|without|would)"
)
_OPEN_MARK = r"[,;]|:|\p{Ll}{2}[-–—]|\s[-–—]|\.\.\.|…"
_EMPTY_LINE = r"(?:^|\n)[ \t]*(?:[-*•]|\d{1,2}[.)]|#{1,6}(?:[ \t][^\n]*)?)"
_CUT = with_ascii_edges(rf"(?:{_OPEN_WORD}|{_OPEN_MARK}|{_EMPTY_LINE})\s*$")
# A text that closes its sentences ends without closing the last: "Mix it. Then the cells were".
# (A number with a full stop may be a list's.) Its last word is lower-case: not a formula, a bracket, a quotation mark or a value.
_LAST_SENTENCE = with_ascii_edges(
    r"[\p{L})\]%°][.!?][\"'”’)\]*]*\s+(?:(?:\d{1,2}[.)]|[-*•])\s+)?[\"'“‘(\[*]*\p{Lu}"
    r"(?:[^.!?…\n]|[.!?]\S)*\s(?P<end>\p{Ll}{2,}|a)\s*$"
)
# "for 30 min", "at 5 mol": a value with its unit closes a line of a list.
_VALUE = with_ascii_edges(r"\d\s?(?:[a-zµμ]{1,3}|cells|days?|hours?|minutes?|mol|times|weeks?)\s*$")
_UNCLOSED = r"[\p{L}\p{N}]\s*$"


def _tail(column: str) -> pl.Expr:
    return pl.col(column).str.tail(TAIL)


def _is_open(column: str) -> pl.Expr:
    tail = _tail(column)
    return tail.str.contains(_CUT) | (
        tail.str.contains(_LAST_SENTENCE) & ~tail.str.contains(_VALUE)
    )


def _is_cut(_config: RulesConfig) -> pl.Expr:
    return _is_open("text") | _is_open("hypothesis")


def _ends(frame: pl.DataFrame, _config: RulesConfig) -> list[Evidence]:
    """The text's end, else the hypothesis's."""
    marked = frame.select("text", "hypothesis", is_texts=_is_open("text"))
    return [
        _end_of(text, text if is_texts else hypothesis)
        for text, hypothesis, is_texts in marked.iter_rows()
    ]


def _end_of(text: str, part: str) -> Evidence:
    """Quotes the last three words of the part, where they stand in the text."""
    part = part.rstrip()
    words = " ".join(part[-TAIL:].rsplit(maxsplit=3)[-3:])
    detail = f'ends in "{excerpt(words[-40:])}"'
    begin = text.find(part)
    if begin < 0:
        return Evidence(Reason.CUT_SHORT, detail)
    end = begin + len(part)
    last_word = part[-TAIL:].split()[-1]
    return Evidence(Reason.CUT_SHORT, detail, end - len(last_word), end)


def _near(_config: RulesConfig) -> pl.Expr:
    return pl.when(_tail("text").str.contains(_UNCLOSED)).then(LOOSELY)


CUT_SHORT = Rule(
    Reason.CUT_SHORT,
    _is_cut,
    _ends,
    near=_near,
    says="Drops what ends in the middle of a sentence or of a list: a student would learn to stop.",
)
