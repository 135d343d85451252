"""The rule on hypotheses that hedge where they should claim.

Hedges are counted where the claim stands: in the hypothesis, else in the whole text, since a
method's "may be stored at 4 °C" is no hedge.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from distill.logic.reasons import Reason
from distill.logic.rules.base import (
    Rule,
    RulesConfig,
    excerpt,
    first_matches,
    near_below,
    with_ascii_edges,
)
from distill.logic.types import Evidence

# "May" is a month, "suggests" and "likely" carry evidence: none of them hedges by itself.
_HEDGE = with_ascii_edges(
    r"\b(?:may|might|could)\b"
    r"|(?i:\b(?:arguably|conceivably|maybe|perhaps|possibly|potentially|presumably|supposedly"
    r"|seems?|seemingly|somewhat|apparently|appears? to|it is (?:possible|conceivable|plausible)"
    r"|to (?:some|a certain) (?:degree|extent)|in some (?:sense|way))\b)"
)
_LOOKED_AT = 20_000
"""Characters: `max_chars` drops what is longer, and hostile text costs no more than this."""

_CLAIM = (
    pl.when(pl.col("hypothesis").str.contains(r"\S"))
    .then(pl.col("hypothesis"))
    .otherwise(pl.col("text"))
    .str.head(_LOOKED_AT)
)


def _measures(_config: RulesConfig) -> Mapping[str, pl.Expr]:
    hedges = _CLAIM.str.count_matches(_HEDGE).cast(pl.Int64)
    words = _CLAIM.str.strip_chars().str.count_matches(r"[ \t\r\n]+") + 1
    return {"hedges": hedges, "hedges_per_100_words": 100.0 * hedges / words}


def _is_hedging(config: RulesConfig) -> pl.Expr:
    many = pl.col("hedges") > config.max_hedges
    return many & (pl.col("hedges_per_100_words") > config.max_hedges_per_100_words)


def _hedges(frame: pl.DataFrame, config: RulesConfig) -> list[Evidence]:
    """With the first hedge's place in the text."""
    claims = frame.select(_CLAIM.alias("claim"))["claim"]
    measured = frame.select("text", "hedges", "hedges_per_100_words").iter_rows()
    found = []
    places = first_matches(claims, _HEDGE)
    for claim, (begin, end, match), row in zip(claims, places, measured, strict=True):
        text, hedges, density = row
        detail = (
            f"{hedges} hedges, {density:.1f} in 100 words (at most "
            f'{config.max_hedges_per_100_words:g}); the first: "{excerpt(match)}"'
        )
        offset = text.find(claim)
        if offset < 0:
            found.append(Evidence(Reason.HEDGING, detail))
        else:
            found.append(Evidence(Reason.HEDGING, detail, offset + begin, offset + end))
    return found


def _near(config: RulesConfig) -> pl.Expr:
    density = near_below(pl.col("hedges_per_100_words"), config.max_hedges_per_100_words)
    return pl.when(pl.col("hedges") >= config.max_hedges).then(density)


HEDGING = Rule(
    Reason.HEDGING,
    _is_hedging,
    _hedges,
    _measures,
    near=_near,
    says="Drops claims with so many hedges (may, might, perhaps) that nothing could refute them.",
    settings=("max_hedges", "max_hedges_per_100_words"),
)
