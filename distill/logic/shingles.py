"""Texts as hashes of their words and of runs of words: what copies are found by.

A word is a run of letters, digits, marks and underscores, after NFKC and case folding. Words are
hashed by BLAKE2b, runs by a polynomial of their words' hashes, both over 64 bits: the same on every
machine and under every version of the libraries. Everything here is linear in the texts, whatever
they hold.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import polars as pl

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]

_BASE = 0x9E3779B97F4A7C15
_INVERSE = pow(_BASE, -1, 2**64)
_SIGNS = r"[^\w\x00-\x7F]"
# ASCII in bulk: capitals to small letters, what is no letter, digit or underscore to a space.
_ASCII = bytes(
    ord(chr(code).lower()) if chr(code).isalnum() or chr(code) == "_" else ord(" ")
    for code in range(128)
) + bytes(range(128, 256))


@dataclass(frozen=True, slots=True)
class Runs:
    """Hashes of several texts, one text after the other: text i's are `of(i)`."""

    hashes: Hashes
    offsets: Places

    def of(self, text: int) -> Hashes:
        return self.hashes[self.offsets[text] : self.offsets[text + 1]]

    def __len__(self) -> int:
        return len(self.offsets) - 1


def hash_words(texts: Sequence[str]) -> Runs:
    """The hash of every word of every text, in their order."""
    column = _spaced(texts).str.split(" ")
    lengths = column.list.len().to_numpy().astype(np.int64)
    encoded = column.explode().to_arrow().cast("large_string").dictionary_encode()
    known = encoded.dictionary.to_pylist()
    # What is not ASCII is folded here: once for each word, not for each place where it stands.
    hashes = np.array([hash_text(word.casefold()) for word in known], dtype=np.uint64)
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    # Two signs in a row leave an empty word between them.
    is_word = np.array([bool(word) for word in known], dtype=bool)[codes]
    kept = _sums(is_word.astype(np.int64))
    ends = np.concatenate([[0], np.cumsum(lengths)])
    return Runs(hashes[codes[is_word]], kept[ends])


def list_words(text: str) -> list[str]:
    """The words of one text as they are compared."""
    return str(_spaced([text])[0]).casefold().split()


def hash_runs(words: Runs, size: int) -> Runs:
    """The hash of every run of `size` words; a text with fewer has one run, the whole of it."""
    counts = np.diff(words.offsets)
    ends = np.repeat(words.offsets[1:], counts)
    lengths = np.repeat(np.minimum(counts, size), counts)
    places = np.arange(len(words.hashes))
    is_start = places + lengths <= ends
    starts, stops = places[is_start], (places + lengths)[is_start]
    powers = np.cumprod(np.full(len(places), _BASE, dtype=np.uint64))
    sums = _sums(words.hashes * powers)
    shifts = np.cumprod(np.full(len(places), _INVERSE, dtype=np.uint64))
    hashes = (sums[stops] - sums[starts]) * shifts[starts]
    return Runs(hashes, _sums(is_start.astype(np.int64))[words.offsets])


def longest_common_run(one: Hashes, other: Hashes) -> tuple[int, int]:
    """Where in `one` (words) the longest run begins that `other` has too, and its length.

    By halving: where a run of n words is common, so is one of n - 1. n log² n steps.
    """
    low, high, start = 0, min(len(one), len(other)), 0
    while low < high:
        size = (low + high + 1) // 2
        mine, others = (hash_runs(_single(words), size).hashes for words in (one, other))
        found = np.flatnonzero(np.isin(mine, others))
        if len(found):
            low, start = size, int(found[0])
        else:
            high = size - 1
    return start, low


@lru_cache(maxsize=100_000)
def hash_text(text: str) -> int:
    """64 bits of a text as it is; remembered, since most words come again."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest)


def sums_by_text(runs: Runs) -> Hashes:
    """The sum of each text's hashes: equal for the same runs in any order."""
    sums = _sums(runs.hashes * np.uint64(_BASE) ^ runs.hashes >> np.uint64(29))
    of_texts: Hashes = sums[runs.offsets[1:]] - sums[runs.offsets[:-1]]
    return of_texts


def _spaced(texts: Sequence[str]) -> pl.Series:
    """The texts with signs made spaces, ASCII in small letters: in bulk, and three times faster than
    a pattern for all signs.
    """
    plain = [text if text.isascii() else unicodedata.normalize("NFKC", text) for text in texts]
    column = pl.Series(plain, dtype=pl.String)
    if not all(map(str.isascii, plain)):
        column = column.str.replace_all(_SIGNS, " ")
    spaced = [text.encode("utf-8", "replace").translate(_ASCII).decode() for text in column]
    return pl.Series(spaced, dtype=pl.String)


def _single(words: Hashes) -> Runs:
    return Runs(words, np.array([0, len(words)], dtype=np.int64))


def _sums(values: npt.NDArray[np.generic]) -> npt.NDArray:  # type: ignore[type-arg]
    """The sums of the first 0, 1, … values."""
    return np.concatenate([np.zeros(1, values.dtype), np.cumsum(values, dtype=values.dtype)])
