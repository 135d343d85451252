"""The rule on texts that repeat themselves.

The thresholds follow those of Gopher's quality filters (Rae et al. 2021, arXiv:2112.11446, table
A1): at most 0.20 of the characters in duplicate lines, at most 0.15 in duplicate runs of 5 words.
Ours differ in what they count: a line is a sentence or a line, and runs are counted, not their
characters.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from distill.logic.reasons import Reason
from distill.logic.rules.base import Rule, RulesConfig, excerpt, near_below
from distill.logic.rules.word_hashes import Words, read_words, runs_of
from distill.logic.types import Evidence

RUN_LENGTH = 5
FEWEST_RUNS = 20
"""A text of fewer runs of words is too short for a share of them to mean anything."""

SHORTEST_SENTENCE = 15
"""Characters: "Repeat twice." may well stand in a method again."""

LOOKED_AT = 20_000
"""Characters of a text: `max_chars` drops what is longer, and hostile text takes no more memory."""

# Worked on at once, so that memory stays flat.
_STEP = 1024
_SENTENCE = r"[^.!?\n]+"
# Rows of a step in the upper 12 bits of a key, 52 bits of a run's number below.
_ROW_SHIFT, _HASH_SHIFT = np.uint64(52), np.uint64(12)


def _measures(_config: RulesConfig) -> Mapping[str, pl.Expr]:
    text = pl.col("text").str.head(LOOKED_AT)
    return {
        "repeated_sentences": text.map_batches(_sentence_shares, return_dtype=pl.Float64),
        "repeated_phrases": text.map_batches(_phrase_shares, return_dtype=pl.Float64),
        "longest_run": text.map_batches(_longest_runs, return_dtype=pl.Int64),
    }


def _steps(texts: pl.Series) -> list[pl.Series]:
    return [texts.slice(start, _STEP) for start in range(0, len(texts), _STEP)]


def _sentence_shares(texts: pl.Series) -> pl.Series:
    """The share of the characters in sentences or lines that stood in the text before."""
    shares = [_sentence_share(part) for part in _steps(texts)]
    return pl.concat([pl.Series([], dtype=pl.Float64), *shares])


def _sentence_share(texts: pl.Series) -> pl.Series:
    frame = pl.DataFrame({"text": texts}).with_row_index("row")
    sentence = pl.col("sentence").str.strip_chars(" \t\r*_#>-").str.to_lowercase()
    sentences = (
        frame.select("row", sentence=pl.col("text").str.extract_all(_SENTENCE))
        .explode("sentence")
        .select("row", sentence.alias("sentence"))
        .select("row", length=pl.col("sentence").str.len_bytes(), key=pl.col("sentence").hash(0))
        .filter(pl.col("length") >= SHORTEST_SENTENCE)
    )
    share = 1 - pl.col("length").filter(pl.col("is_first")).sum() / pl.col("length").sum()
    by_row = (
        sentences.with_columns(is_first=pl.struct("row", "key").is_first_distinct())
        .group_by("row")
        .agg(share=share)
    )
    return frame.join(by_row, on="row", how="left", maintain_order="left")["share"].fill_null(0.0)


def _phrase_shares(texts: pl.Series) -> pl.Series:
    """The share of the runs of 5 words that stood in the text before."""
    shares = [_phrase_share(part) for part in _steps(texts)]
    return pl.concat([pl.Series([], dtype=pl.Float64), *shares])


def _phrase_share(texts: pl.Series) -> pl.Series:
    runs, rows = runs_of(read_words(texts), RUN_LENGTH)
    totals = np.bincount(rows, minlength=len(texts))
    # Sorted within their row, by the upper bits of their numbers, equal ones lie side by side.
    keys = np.sort((rows.astype(np.uint64) << _ROW_SHIFT) | (runs >> _HASH_SHIFT))
    again = keys[1:][keys[1:] == keys[:-1]] >> _ROW_SHIFT
    repeats = np.bincount(again.astype(np.int64), minlength=len(texts))
    return pl.Series(np.where(totals >= FEWEST_RUNS, repeats / np.maximum(totals, 1), 0.0))


def _longest_runs(texts: pl.Series) -> pl.Series:
    """The longest run of one word, or of one letter or digit, that a text has."""
    longest = [
        pl.Series(np.maximum(_word_runs(read_words(part), len(part)), _letter_runs(part)))
        for part in _steps(texts)
    ]
    return pl.concat([pl.Series([], dtype=pl.Int64), *longest])


def _word_runs(words: Words, num_texts: int) -> npt.NDArray[np.int64]:
    is_same = (words.hashes[1:] == words.hashes[:-1]) & (words.rows[1:] == words.rows[:-1])
    # A table's 0 0 0 0 is data.
    is_same &= ~words.is_number[1:]
    return _longest(is_same, words.rows, num_texts)


def _letter_runs(texts: pl.Series) -> npt.NDArray[np.int64]:
    """Runs of a letter; a poly-A tail is written as shortly as others write AAAA."""
    encoded = texts.cast(pl.Binary).to_list()
    codes = np.frombuffer(b"\0".join([*encoded, b""]), np.uint8)
    lower = codes | 0x20
    is_letter = (lower >= ord("a")) & (lower <= ord("z"))
    is_same = (codes[1:] == codes[:-1]) & is_letter[1:]
    lengths = np.fromiter(map(len, encoded), np.int64, len(encoded)) + 1
    at = np.flatnonzero(is_same)
    ends = np.cumsum(lengths)
    return _longest_of(at, np.searchsorted(ends, at, side="right"), len(texts))


def _longest(
    is_same: npt.NDArray[np.bool_], rows: npt.NDArray[np.int64], num_texts: int
) -> npt.NDArray[np.int64]:
    at = np.flatnonzero(is_same)
    return _longest_of(at, rows[at], num_texts)


def _longest_of(
    at: npt.NDArray[np.int64], rows: npt.NDArray[np.int64], num_texts: int
) -> npt.NDArray[np.int64]:
    """The longest run of each row, where `at` are the places that equal the one after them."""
    longest = np.zeros(num_texts, dtype=np.int64)
    if len(at):
        starts = np.flatnonzero(np.diff(at, prepend=at[0] - 2) != 1)
        np.maximum.at(longest, rows[starts], np.diff(starts, append=len(at)) + 1)
    return longest


def _is_repetitive(config: RulesConfig) -> pl.Expr:
    return (
        (pl.col("repeated_sentences") > config.max_repeated_sentences)
        | (pl.col("repeated_phrases") > config.max_repeated_phrases)
        | (pl.col("longest_run") > config.max_run)
    )


def _repeats(frame: pl.DataFrame, config: RulesConfig) -> list[Evidence]:
    measured = frame.select("text", "repeated_sentences", "repeated_phrases", "longest_run")
    return [
        _repeat(text[:LOOKED_AT], sentences, phrases, longest, config)
        for text, sentences, phrases, longest in measured.iter_rows()
    ]


def _repeat(
    text: str, sentences: float, phrases: float, longest: int, config: RulesConfig
) -> Evidence:
    """The worst of the three, with the place of what is repeated where it was found."""
    if longest > config.max_run:
        detail = f"one word or letter {longest:,} times in a row, at most {config.max_run} may be"
        return _placed(detail, _run_in(text))
    if sentences > config.max_repeated_sentences:
        detail = (
            f"{sentences:.0%} of it repeats earlier sentences or lines, at most "
            f"{config.max_repeated_sentences:.0%} may"
        )
        return _placed(detail, _second_sentence(text))
    detail = (
        f"{phrases:.0%} of its runs of {RUN_LENGTH} words stood in it before, at most "
        f"{config.max_repeated_phrases:.0%} may"
    )
    return _placed(detail, _commonest_phrase(text))


def _placed(detail: str, span: tuple[int, int, str] | None) -> Evidence:
    if span is None:
        return Evidence(Reason.REPETITION, detail)
    start, end, quoted = span
    return Evidence(Reason.REPETITION, f'{detail}: "{excerpt(quoted)}"', start, end)


def _spans(matches: list[re.Match[str]]) -> list[tuple[int, int, str]]:
    return [(*match.span(), match.group()) for match in matches]


def _run_in(text: str) -> tuple[int, int, str] | None:
    """The longest run of a letter, else of a word."""
    letters = _longest_equal([(at, at + 1, char) for at, char in enumerate(text) if char.isalpha()])
    words = _longest_equal(_spans(list(_WORD.finditer(text.lower()))), apart=True)
    span = max(letters, words, key=lambda one: one[2])
    return (span[0], span[1], text[span[0] : span[1]]) if span[2] > 1 else None


def _longest_equal(
    pieces: list[tuple[int, int, str]], *, apart: bool = False
) -> tuple[int, int, int]:
    """Start, end and number of the longest row of equal pieces, touching unless they are `apart`."""
    best, begin = (0, 0, 0), 0
    for at, (start, end, piece) in enumerate(pieces):
        previous = pieces[at - 1]
        if at and (piece != previous[2] or not (apart or previous[1] == start)):
            begin = at
        if at - begin + 1 > best[2]:
            best = (pieces[begin][0], end, at - begin + 1)
    return best


_WORD = re.compile(r"[^\W_]+")
_SENTENCES = re.compile(_SENTENCE)


def _second_sentence(text: str) -> tuple[int, int, str] | None:
    """The first sentence that stood in the text before, where it stands again."""
    seen = set()
    for match in _SENTENCES.finditer(text):
        sentence = match.group().strip(" \t\r*_#>-")
        if len(sentence.encode()) < SHORTEST_SENTENCE:
            continue
        if sentence.lower() in seen:
            start = match.start() + match.group().index(sentence)
            return start, start + len(sentence), sentence
        seen.add(sentence.lower())
    return None


def _commonest_phrase(text: str) -> tuple[int, int, str] | None:
    """The run of words that stands in the text most often, at its first place."""
    words = list(_WORD.finditer(text))
    lowered = [word.group().lower() for word in words]
    runs = [tuple(lowered[at : at + RUN_LENGTH]) for at in range(len(words) - RUN_LENGTH + 1)]
    if not runs:
        return None
    commonest = Counter(runs).most_common(1)[0][0]
    at = runs.index(commonest)
    start, end = words[at].start(), words[at + RUN_LENGTH - 1].end()
    return start, end, text[start:end]


def _near(config: RulesConfig) -> pl.Expr:
    return pl.max_horizontal(
        near_below(pl.col("repeated_sentences"), config.max_repeated_sentences),
        near_below(pl.col("repeated_phrases"), config.max_repeated_phrases),
        near_below(pl.col("longest_run"), config.max_run),
    )


REPETITION = Rule(
    Reason.REPETITION,
    _is_repetitive,
    _repeats,
    _measures,
    near=_near,
    says="Drops what says the same again: sentences, phrases, or one word over and over.",
    settings=("max_repeated_sentences", "max_repeated_phrases", "max_run"),
)
