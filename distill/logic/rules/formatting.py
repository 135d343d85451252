"""The rule on broken formatting: what is left open, stray markup, tables that do not fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from distill.logic.reasons import Reason
from distill.logic.rules.base import (
    LOOSELY,
    Rule,
    RulesConfig,
    excerpt,
    first_matches,
    with_ascii_edges,
)
from distill.logic.types import Evidence


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


def _has_open_environment(column: pl.Expr) -> pl.Expr:
    return column.str.count_matches(r"\\begin\{") != column.str.count_matches(r"\\end\{")


_DELIMITER_ROW = r"(?m)^[ \t]*\|[ \t]*:?-{2,}:?[ \t]*\|"


def _has_uneven_table(column: pl.Expr) -> pl.Expr:
    # Tables are rare, so only the texts that have one are read line by line.
    tables = pl.when(column.str.contains(_DELIMITER_ROW)).then(column)
    return tables.map_batches(_uneven_tables, return_dtype=pl.Boolean).fill_null(value=False)


def _uneven_tables(texts: pl.Series) -> pl.Series:
    uneven = [None if text is None else _is_uneven(text) for text in texts]
    return pl.Series(texts.name, uneven, dtype=pl.Boolean)


def _is_uneven(text: str) -> bool:
    """Whether rows of one table (lines that follow each other) have differing numbers of cells."""
    width = 0
    for line in text.split("\n"):
        row = line.strip().replace(r"\|", "")
        if not row.startswith("|"):
            width = 0
            continue
        cells = row.rstrip("|").count("|")
        if width and cells != width:
            return True
        width = cells
    return False


# One pattern for each first character: the engine then jumps to it, 60 times as fast.
_TAG = with_ascii_edges(
    r"<(?:\|[a-z_]{1,30}\|>|/?(?:answer|hypothesis|methodology|passage|rejected_answer|s|think)>"
    r"|(?i:/?(?:body|br|code|div|em|font|h[1-6]|html|img|li|ol|pre|script|span|strong|style|table"
    r"|td|tr|ul)\b[^<>\n]{0,200}>)|/[abip]>|!--)"
)
_ENTITY = r"&(?:amp|gt|lt|nbsp|quot|#\d{1,6});"
_LATEX = with_ascii_edges(r"\\(?:documentclass|textbf|textit|section|subsection|item)\b")
_CONTROL = r"(?-u:[\x00-\x08\x0B\x0C\x0E-\x1F\x7F])"
# "\n" spelt out is a reply that was escaped twice; \nu and \nabla are LaTeX.
_ESCAPED = r"\\n(?:\\n|\s|\d|-|$)"
_REPR = with_ascii_edges(r"\b(?:ChatCompletion\w*|Choice)\(")
_JSON = r'"(?:hypothesis|method|methodology|hypotheses)"\s*:'

_FAULTS = (
    _Fault("replacement character", "\ufffd"),
    _Fault("control character", _CONTROL),
    _Fault("markup of a page or a prompt", _TAG),
    _Fault("markup of a page or a prompt", r"\[/?INST\]"),
    _Fault("markup of a page or a prompt", _ENTITY),
    _Fault("markup of a page or a prompt", _LATEX),
    _Fault("escaped line break", _ESCAPED),
    _Fault("printed program object", _REPR),
    _Fault("key of a JSON object", _JSON),
    _Fault("code fence left open", counts=_has_odd("(?m)^[ \\t]*```")),
    # 10**3 is arithmetic: counted twice, it never makes the number odd.
    _Fault("bold mark left open", counts=_has_odd(r"\*\*", but_not=r"\d\*\*[-+]?\d")),
    _Fault("formula left open", counts=_has_odd(r"\$\$")),
    _Fault("LaTeX environment left open", counts=_has_open_environment),
    _Fault("bracket left open", counts=_has_unclosed),
    _Fault("bracket closed that was never opened", counts=_has_unopened),
    _Fault("table whose rows differ in their number of cells", counts=_has_uneven_table),
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


def _has_loose_end(_config: RulesConfig) -> pl.Expr:
    """One kind of bracket does not balance, or a mark of another formatting stands in the text."""
    text = pl.col("text")
    uneven = [
        text.str.count_matches(opening, literal=True)
        != text.str.count_matches(closing, literal=True)
        for opening, closing in (("(", ")"), ("[", "]"), ("{", "}"))
    ]
    return pl.when(pl.any_horizontal(*uneven, text.str.contains(r"</?[a-z]+>|`[^`\n]*$"))).then(
        LOOSELY
    )


BROKEN_FORMATTING = Rule(
    Reason.BROKEN_FORMATTING,
    _is_broken,
    _breakage,
    near=_has_loose_end,
    says=(
        "Drops brackets, fences, tables and formulas left open, control characters, and markup that "
        "belongs to a page, a prompt or a program."
    ),
)
