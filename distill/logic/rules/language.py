"""The rule on texts that are not in the wanted language.

Told by function words, which every sentence of a language has and which no list of genes, no
formula and no Latin name has: of those of any known language, the share that are not the wanted
one's (after Cavnar and Trenkle's observation that the commonest words tell languages apart; no
model, no download). Texts in other scripts are told by their letters. A text with too few
function words (a list, a table), or in a language that is not known here, is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

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

FUNCTION_WORDS: Mapping[str, str] = {
    "en": (
        "the of and to in is was were are be been for that with as by on at from this these which it "
        "its an or not than when has have had will would can each then their between into after all "
        "if we both no but more per only do so"
    ),
    "de": (
        "der die das den dem des und oder ist sind war wurde wurden wird werden mit von für auf aus "
        "nach bei durch über zur zum ein eine einer eines einem einen nicht auch als wie dass sich "
        "zwischen im vom unter jede jeder diese dieser dieses wenn nur mehr haben hat kann können sie"
    ),
    "fr": (
        "le la les un une des du de et ou est sont était été avec pour par dans sur que qui ne pas "
        "au aux ce cette ces il elle plus entre sous chaque leur nous être sans son sa ses puis dont"
    ),
    "es": (
        "el la los las un una unos unas de del y o es son fue fueron con para por en que se no al su "
        "sus como más entre cada este esta estos estas lo ha han ser sin sobre si cuando"
    ),
    "it": (
        "il lo la gli le un uno una di del della dei delle degli e è sono stato stati con per da dal "
        "dalla nel nella che non si al alla più tra ogni questo questa come se anche"
    ),
    "pt": (
        "o os as um uma de do da dos das e é são foi foram com para por em no na nos nas que não se "
        "ao à mais entre cada este esta como seu sua ou"
    ),
    "nl": (
        "de het een van en of is zijn was werd werden wordt worden met voor op uit naar bij door aan "
        "niet ook als dat deze dit die tussen elke meer te om over tot"
    ),
    "sv": (
        "och att det den en ett av för med på som är var till från inte vid eller har hade ska kan "
        "om efter mellan varje denna dessa sedan också"
    ),
    "pl": (
        "i w na z do jest są był była było były nie się że od po dla oraz lub przez przy jako jak "
        "tym tego ten ta te między każdy które który która ich"
    ),
}
"""The commonest words that carry no subject, by ISO 639-1 code."""

FEWEST_WORDS = 8
"""With fewer function words nothing is told: "de novo", "in vivo" and "et al." are no French."""

LOOKED_AT = 20_000
# Greek letters are symbols of every science.
_OTHER_LETTER = r"[\p{L}--\p{Latin}--\p{Greek}--\p{Common}]"
# What English names borrow: de novo, la niña, van der Waals, von Willebrand.
_BORROWED = frozenset(["de", "la", "van", "le", "del", "den", "von"])


@lru_cache(maxsize=16)
def _patterns(language: str) -> tuple[str, str]:
    """Of the wanted language's words, and of the words of all others that are not its own."""
    own = set(FUNCTION_WORDS[language].split())
    others = {word for words in FUNCTION_WORDS.values() for word in words.split()}
    return _any_of(own), _any_of(others - own - _BORROWED)


def _any_of(words: set[str]) -> str:
    """Those of two letters or more, since one is a symbol, and with ASCII letters at both ends."""
    told = sorted(word for word in words if len(word) > 1 and (word[0] + word[-1]).isascii())
    return with_ascii_edges(rf"(?i)\b(?:{'|'.join(told)})\b")


def _measures(config: RulesConfig) -> Mapping[str, pl.Expr]:
    if not config.language:
        return {}
    own, others = _patterns(config.language)
    text = pl.col("text").str.head(LOOKED_AT)
    num_own = text.str.count_matches(own).cast(pl.Float64)
    num_others = text.str.count_matches(others).cast(pl.Float64)
    total = num_own + num_others
    letters = text.str.len_chars().clip(lower_bound=1)
    beyond_ascii = pl.when(text.str.len_bytes() != text.str.len_chars()).then(text)
    return {
        "foreign_words": pl.when(total >= FEWEST_WORDS).then(num_others / total).otherwise(0.0),
        "foreign_letters": (
            beyond_ascii.str.count_matches(_OTHER_LETTER).fill_null(0).cast(pl.Float64) / letters
        ),
    }


def _is_foreign(config: RulesConfig) -> pl.Expr:
    if not config.language:
        return pl.col("text").is_null()  # any language is right
    return (pl.col("foreign_words") > config.max_foreign_words) | (
        pl.col("foreign_letters") > config.max_foreign_letters
    )


def _strangeness(frame: pl.DataFrame, config: RulesConfig) -> list[Evidence]:
    """With the first foreign letters, else the first foreign word."""
    by_letters = pl.col("foreign_letters") > config.max_foreign_letters
    numbered = frame.with_row_index("row")
    found: dict[int, Evidence] = {}
    for rows, pattern, what, measure in (
        (numbered.filter(by_letters), f"{_OTHER_LETTER}+", "characters", "foreign_letters"),
        (
            numbered.filter(~by_letters),
            _patterns(config.language)[1],
            "function words",
            "foreign_words",
        ),
    ):
        places = first_matches(rows["text"], pattern)
        for row, share, (start, end, match) in zip(rows["row"], rows[measure], places, strict=True):
            detail = (
                f"{share:.0%} of its {what} are not of the wanted language "
                f'({config.language}): "{excerpt(match)}"'
            )
            found[row] = Evidence(Reason.OTHER_LANGUAGE, detail, start, end)
    return [found[row] for row in range(len(frame))]


def _near(config: RulesConfig) -> pl.Expr:
    if not config.language:
        return pl.lit(None, dtype=pl.Float64)
    return pl.max_horizontal(
        near_below(pl.col("foreign_words"), config.max_foreign_words),
        near_below(pl.col("foreign_letters"), config.max_foreign_letters),
    )


OTHER_LANGUAGE = Rule(
    Reason.OTHER_LANGUAGE,
    _is_foreign,
    _strangeness,
    _measures,
    near=_near,
    says="Drops what is not in the wanted language: a student would learn to switch.",
    settings=("language", "max_foreign_words", "max_foreign_letters"),
)
