"""Rules on how a completion stands to its source: not copied from it, not about something else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

import numpy as np
import numpy.typing as npt
import polars as pl

from distill.logic.reasons import Reason
from distill.logic.rules.base import Rule, RulesConfig, excerpt, near_above, near_below
from distill.logic.rules.word_hashes import (
    NUM_BYTES,
    Hashes,
    Rows,
    Words,
    read_words,
    runs_of,
    stand_in,
)
from distill.logic.types import Evidence

RUN_LENGTH = 5
"""Words of a copied run. Eight, as for contamination, would miss a copy with a word changed in
each line; three are shared by texts that only have their subject in common."""

FEWEST_SOURCE_WORDS = 20
"""Content words that make a source: of a one-line instruction, no answer can have its words."""

FEWEST_CLAIM_WORDS = 4
# A claim stands first, a method that stands alone names it in its first step; what follows says how
# to test it, in words that no source needs to have.
_CLAIM_CHARS = 400

_STOP_WORDS = (
    "about above after again against all also although among and any are because been before "
    "being below between both but can could did does doing down during each either few for from "
    "further had has have having her here him his how however into its itself just may might more "
    "most must neither nor not off once one only onto other our out over own per rather same she "
    "should since some such than that the their them then there these they this those through "
    "thus too two under until upon very via was were what when where whether which while who whom "
    "whose why will with within without would yet you your"
)
# What every well-formed hypothesis says, whatever it is about.
_FORM_WORDS = (
    "absolute analysis analyze analyse arm arms associate associated baseline cause causal causes "
    "change changes compare compared comparison condition conditions confidence consistent "
    "constant control controls controlled data decrease decreased decreases difference direction "
    "due effect effects estimate evidence expect expected experiment explain explains falsified "
    "falsify falsifies finding findings group groups higher hold holding hypothesis hypothesize "
    "identical increase increased increases influence interval larger lead leads least less level "
    "levels likely link linked lower mean measurable measure measured measurement method namely "
    "observe observed opposite otherwise outcome outcomes percent percentage plausible points "
    "predict predicted prediction predicts prove proves random randomised randomized rate rates "
    "reason record reduce reduced reduces refute refuted refutes reject rejected relative "
    "replicate report reported reports result results sample samples shrink shrinks sign "
    "significant significantly size smaller source stay stays study support supports test tested "
    "time treatment true untreated value values wrong"
)

PLAIN_WORDS = frozenset(f"{_STOP_WORDS} {_FORM_WORDS}".split())
"""Words, in small letters, that do not say what a text is about. Shorter ones than three letters
are not among them."""


@cache
def _stop_hashes() -> pl.Series:
    # Not when the module is read: the threads of polars do not survive a worker's fork.
    words = read_words(pl.Series([f"{_STOP_WORDS} {_FORM_WORDS}"]))
    return pl.Series(words.hashes).unique()


# Worked on at once, so that memory stays flat: some 4 MB of texts.
_STEP = 1024


def _copied(_config: RulesConfig) -> Mapping[str, pl.Expr]:
    columns = [pl.col("text"), pl.col("hypothesis"), pl.col("source")]
    return {"copied": pl.map_batches(columns, _copied_shares, return_dtype=pl.Float64)}


def _overlap(_config: RulesConfig) -> Mapping[str, pl.Expr]:
    has_claim = pl.col("hypothesis").str.contains(r"\S")
    claim = pl.when(has_claim).then(pl.col("hypothesis")).otherwise(pl.col("text"))
    columns = [claim.str.head(_CLAIM_CHARS), pl.col("source")]
    return {"overlap": pl.map_batches(columns, _overlap_shares, return_dtype=pl.Float64)}


def _copied_shares(columns: Sequence[pl.Series]) -> pl.Series:
    """The larger share of runs of words that stand in the source: the text's, the hypothesis's."""
    parts = [pl.Series([], dtype=pl.Float64)]
    for start in range(0, len(columns[0]), _STEP):
        text, hypothesis, source = (
            runs_of(read_words(column.slice(start, _STEP)), RUN_LENGTH) for column in columns
        )
        num_texts = min(_STEP, len(columns[0]) - start)
        # Together, so that the source's runs are put into one table once.
        runs, rows = (np.concatenate(pair) for pair in zip(text, hypothesis, strict=True))
        found = stand_in(runs, rows, *source)
        split = len(text[0])
        shares = np.fmax(
            _share(found[:split], rows[:split], num_texts),
            _share(found[split:], rows[split:], num_texts),
        )
        has_source = np.bincount(source[1], minlength=num_texts) > 0
        parts.append(_where(has_source, shares))
    return pl.concat(parts)


def _overlap_shares(columns: Sequence[pl.Series]) -> pl.Series:
    """The share of the claim's content words that stand in the source."""
    parts = [pl.Series([], dtype=pl.Float64)]
    for start in range(0, len(columns[0]), _STEP):
        claim, source = (_content(read_words(column.slice(start, _STEP))) for column in columns)
        num_texts = min(_STEP, len(columns[0]) - start)
        is_known = (np.bincount(source[1], minlength=num_texts) >= FEWEST_SOURCE_WORDS) & (
            np.bincount(claim[1], minlength=num_texts) >= FEWEST_CLAIM_WORDS
        )
        parts.append(_where(is_known, _share(stand_in(*claim, *source), claim[1], num_texts)))
    return pl.concat(parts)


def _content(words: Words) -> tuple[Hashes, Rows]:
    """Numbers and rows of the words that say what a text is about."""
    is_plain = pl.Series(words.hashes).is_in(_stop_hashes().implode()).to_numpy()
    is_content = ~is_plain & ~words.is_number & (words.lengths >= 3)
    return words.hashes[is_content], words.rows[is_content]


def _share(found: npt.NDArray[np.bool_], rows: Rows, num_texts: int) -> npt.NDArray[np.float64]:
    """Of each text's numbers, the share that was found; NaN where it has none."""
    totals = np.bincount(rows, minlength=num_texts)
    hits = np.bincount(rows, weights=found, minlength=num_texts)
    shares: npt.NDArray[np.float64] = np.full(num_texts, np.nan)
    np.divide(hits, totals, out=shares, where=totals > 0)
    return shares


def _where(is_known: npt.NDArray[np.bool_], shares: npt.NDArray[np.float64]) -> pl.Series:
    return pl.Series(np.where(is_known, shares, np.nan), nan_to_null=True)


def _is_copied(config: RulesConfig) -> pl.Expr:
    return (pl.col("copied") > config.max_copied).fill_null(value=False)


def _is_off_source(config: RulesConfig) -> pl.Expr:
    return (pl.col("overlap") < config.min_overlap).fill_null(value=False)


_WORD = re.compile(r"[^\W_]+")
# Of a text that is longer than a book's chapter, its beginning is evidence enough.
_LOOKED_AT = 100_000


def _copies(frame: pl.DataFrame, config: RulesConfig) -> list[Evidence]:
    """With the longest run of words that the text has from its source."""
    found = []
    for text, source, copied in frame.select("text", "source", "copied").iter_rows():
        start, end = _longest_copy(text[:_LOOKED_AT], source[:_LOOKED_AT])
        detail = (
            f"{copied:.0%} of its runs of {RUN_LENGTH} words stand in the source, at most "
            f"{config.max_copied:.0%} may"
        )
        if start == end:
            found.append(Evidence(Reason.COPIED_SOURCE, detail))
        else:
            longest = f'{detail}; the longest copy: "{excerpt(text[start:end])}"'
            found.append(Evidence(Reason.COPIED_SOURCE, longest, start, end))
    return found


def _longest_copy(text: str, source: str) -> tuple[int, int]:
    """Where the longest stretch of the source's runs stands in the text: start, end (characters)."""
    theirs = _clip(_WORD.findall(source))
    places = list(_WORD.finditer(text))
    mine = _clip(place.group() for place in places)
    runs = {theirs[at : at + RUN_LENGTH] for at in range(len(theirs) - RUN_LENGTH + 1)}
    best_start = best_end = begin = 0
    for at in range(len(mine) - RUN_LENGTH + 1):
        if mine[at : at + RUN_LENGTH] not in runs:
            begin = at + 1
        elif at + RUN_LENGTH - begin > best_end - best_start:
            best_start, best_end = begin, at + RUN_LENGTH
    if not best_end:
        return 0, 0
    return places[best_start].start(), places[best_end - 1].end()


def _clip(words: Iterable[str]) -> tuple[bytes, ...]:
    return tuple(word.lower().encode()[:NUM_BYTES] for word in words)


def _strangeness(frame: pl.DataFrame, config: RulesConfig) -> list[Evidence]:
    return [
        Evidence(
            Reason.OFF_SOURCE,
            f"{overlap:.0%} of its content words stand in the source, at least "
            f"{config.min_overlap:.0%} should",
        )
        for overlap in frame["overlap"]
    ]


COPIED_SOURCE = Rule(
    Reason.COPIED_SOURCE,
    _is_copied,
    _copies,
    _copied,
    near=lambda config: near_below(pl.col("copied"), config.max_copied),
    says=(
        "Drops what repeats the source word for word: a hypothesis must go beyond it, and a student "
        "would learn to copy."
    ),
    settings=("max_copied",),
)
OFF_SOURCE = Rule(
    Reason.OFF_SOURCE,
    _is_off_source,
    _strangeness,
    _overlap,
    near=lambda config: near_above(pl.col("overlap"), config.min_overlap),
    says=(
        "Drops what is not about the source: the form may be right, but the claim's words are not "
        "those of the passage."
    ),
    settings=("min_overlap",),
)
