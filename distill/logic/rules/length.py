"""Rules on how much a text says: too short, too long, a field that says nothing."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from distill.logic.reasons import Reason
from distill.logic.rules.base import Rule, RulesConfig, near_above, near_below, with_ascii_edges
from distill.logic.types import Evidence

CHARS_PER_TOKEN = 4
"""What the guide's own filter estimates with where it has no tokenizer: chars / 4, rounded up."""


def _lengths(_config: RulesConfig) -> Mapping[str, pl.Expr]:
    chars = pl.col("text").str.strip_chars().str.len_chars()
    estimate = (chars + (CHARS_PER_TOKEN - 1)) // CHARS_PER_TOKEN
    return {
        "chars": chars,
        "token_count": pl.col("tokens").fill_null(estimate.cast(pl.Int64)),
        "is_token_estimate": pl.col("tokens").is_null().cast(pl.UInt8),
    }


def _is_too_short(config: RulesConfig) -> pl.Expr:
    return (pl.col("chars") <= config.min_chars) | (pl.col("token_count") < config.min_tokens)


def _is_too_long(config: RulesConfig) -> pl.Expr:
    return (pl.col("chars") > config.max_chars) | (pl.col("token_count") > config.max_tokens)


def _shortness(frame: pl.DataFrame, config: RulesConfig) -> list[Evidence]:
    needed = f"more than {config.min_chars:,} are needed"
    return [
        Evidence(
            Reason.TOO_SHORT,
            f"{chars:,} characters, {needed}"
            if chars <= config.min_chars
            else f"{_tokens(tokens, estimated)}, at least {config.min_tokens:,} are needed",
        )
        for chars, tokens, estimated in _measured(frame)
    ]


def _length(frame: pl.DataFrame, config: RulesConfig) -> list[Evidence]:
    return [
        Evidence(
            Reason.TOO_LONG,
            f"{chars:,} characters, at most {config.max_chars:,} are allowed"
            if chars > config.max_chars
            else f"{_tokens(tokens, estimated)}, at most {config.max_tokens:,} are allowed",
        )
        for chars, tokens, estimated in _measured(frame)
    ]


def _measured(frame: pl.DataFrame) -> list[tuple[int, int, int]]:
    return frame.select("chars", "token_count", "is_token_estimate").rows()


def _tokens(number: int, is_estimate: int) -> str:
    return f"about {number:,} tokens (estimated)" if is_estimate else f"{number:,} tokens"


def _near_short(config: RulesConfig) -> pl.Expr:
    return pl.max_horizontal(
        near_above(pl.col("chars"), config.min_chars),
        near_above(pl.col("token_count"), config.min_tokens),
    )


def _near_long(config: RulesConfig) -> pl.Expr:
    return pl.max_horizontal(
        near_below(pl.col("chars"), config.max_chars),
        near_below(pl.col("token_count"), config.max_tokens),
    )


TOO_SHORT = Rule(
    Reason.TOO_SHORT,
    _is_too_short,
    _shortness,
    _lengths,
    near=_near_short,
    says="Drops what is too short to state a hypothesis or a method that others can repeat.",
    settings=("min_chars", "min_tokens"),
)
TOO_LONG = Rule(
    Reason.TOO_LONG,
    _is_too_long,
    _length,
    _lengths,
    near=_near_long,
    says="Drops what runs on: it would fill a student's context and is rarely one answer.",
    settings=("max_chars", "max_tokens"),
)

LONGEST_FIELD_CHARS = 200
"""A field is measured up to here: what says nothing is short."""

_FIELDS = {"hypothesis": "hypothesis", "method": "methodology"}
_EDGE = r"[\s\p{P}\p{S}]*"
# "**Hypothesis:**" before what is said, or alone.
_OWN_NAME = rf"(?i)^{_EDGE}(?:(?:the )?(?:hypothes[ie]s|method(?:s|ology)?)\b)?{_EDGE}"
_SAYS_NOTHING = with_ascii_edges(
    r"(?i)^(?:n/?a|none|nil|null|nan|nothing|unknown|undefined|unclear|empty|blank|ditto|idem"
    r"|not? (?:applicable|available|given|known|provided|specified|stated)"
    r"|no (?:hypothes[ie]s|method(?:s|ology)?)(?: (?:given|possible|provided|stated))?"
    r"|(?:as|same as|see|stated|described|given) (?:stated |described |given )?"
    r"(?:above|before|below|previously|hypothesis|methodology)|same(?: here)?"
    r"|(?:to be|will be) (?:added|completed|defined|determined|done|filled in|provided)"
    r"|tb[acd]|todo|test|text|string|answer)\b[\s\p{P}]*$"
)


def _said(column: str) -> pl.Expr:
    """Characters of a field beside its own name; 0 of a phrase that says nothing; null of none."""
    field = pl.col(column).str.head(2 * LONGEST_FIELD_CHARS)
    said = field.str.replace(_OWN_NAME, "").str.strip_chars_end()
    count = said.str.len_chars().clip(upper_bound=LONGEST_FIELD_CHARS).cast(pl.Int64)
    says_nothing = said.str.contains(_SAYS_NOTHING)
    return pl.when(pl.col(column) != "").then(pl.when(says_nothing).then(0).otherwise(count))


def _field_chars(_config: RulesConfig) -> Mapping[str, pl.Expr]:
    """The shortest field's, among those that the completion has."""
    return {"field_chars": pl.min_horizontal(*map(_said, _FIELDS))}


def _is_empty(config: RulesConfig) -> pl.Expr:
    return (pl.col("field_chars") < config.min_field_chars).fill_null(value=False)


def _emptiness(frame: pl.DataFrame, config: RulesConfig) -> list[Evidence]:
    said = frame.select("text", *_FIELDS, **{f"said_{name}": _said(name) for name in _FIELDS})
    return [_least_said(row) for row in said.iter_rows(named=True)]


def _least_said(row: Mapping[str, str | int | None]) -> Evidence:
    known = {name: row[f"said_{name}"] for name in _FIELDS if row[f"said_{name}"] is not None}
    least = min(known, key=lambda name: int(known[name] or 0))
    field = str(row[least]).strip()
    short = field if len(field) <= 40 else f"{field[:39]}…"
    detail = f'the {_FIELDS[least]} says only "{" ".join(short.split())}"'.replace("\0", "\ufffd")
    start = str(row["text"]).find(field)
    if start < 0 or not field:
        return Evidence(Reason.EMPTY_FIELD, detail)
    return Evidence(Reason.EMPTY_FIELD, detail, start, start + len(field))


EMPTY_FIELD = Rule(
    Reason.EMPTY_FIELD,
    _is_empty,
    _emptiness,
    _field_chars,
    near=lambda config: near_above(pl.col("field_chars"), config.min_field_chars),
    says="Drops what has a field in name only: N/A, as above, a word or two.",
    settings=("min_field_chars",),
)
