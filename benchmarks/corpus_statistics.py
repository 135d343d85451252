"""What abstracts look like, in numbers: words, sentences, markup.

    python -m benchmarks.corpus_statistics pqal.json scitldr.jsonl > benchmarks/gate_corpus.json

Reads the abstracts of PubMedQA (one object by PubMed id) and SciTLDR (a line each). What is kept
are counts: the hundred commonest words with their shares, lengths, pairs of letters, marks; from
them `gate_corpus` writes texts of its own.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.engine_site import Measured

NUM_COMMON = 100
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_WORD = re.compile(r"[a-z]+(?:['-][a-z]+)*")
_MARKS = {
    "number": re.compile(r"\d"),
    "percent": re.compile(r"\d%"),
    "comma": re.compile(r",$"),
    "parenthesis": re.compile(r"^\("),
    "hyphen": re.compile(r"\w-\w"),
    "acronym": re.compile(r"^[A-Z]{2,6}s?\W*$"),
    "not_ascii": re.compile(r"[^\x00-\x7f]"),
}
"""What a word may carry; the share of words that do is counted."""


def main() -> None:
    """Print the statistics of the files named."""
    texts = [text for name in sys.argv[1:] for text in read_abstracts(Path(name))]
    print(json.dumps(statistics_of(texts), indent=1))


def read_abstracts(path: Path) -> list[str]:
    if path.suffix == ".json":
        papers = json.loads(path.read_text()).values()
        return [" ".join(paper["CONTEXTS"]) for paper in papers]
    return [" ".join(json.loads(line)["source"]) for line in path.read_text().splitlines()]


def statistics_of(texts: Sequence[str]) -> Measured:
    """Shares are of all words, quantiles stand at 0, 5, … 100 %."""
    tokens = [token for text in texts for token in text.split()]
    words = Counter(match for token in tokens for match in _WORD.findall(token.lower())[:1])
    common = words.most_common(NUM_COMMON)
    others = [word for word in words if word not in dict(common)]
    sentences = [len(part.split()) for text in texts for part in _SENTENCE_END.split(text)]
    return {
        "texts": len(texts),
        "words": len(tokens),
        "vocabulary": len(words),
        "zipf_exponent": round(_zipf_exponent(words), 3),
        "common": {word: round(count / words.total(), 5) for word, count in common},
        "marks": {name: _share(mark, tokens) for name, mark in _MARKS.items()},
        "text_chars": _quantiles([len(text) for text in texts]),
        "sentence_words": _quantiles(sentences),
        "word_chars": _quantiles([len(word) for word in words.elements()]),
        "vocabulary_chars": _quantiles([len(word) for word in others]),
        "letter_pairs": _letter_pairs(others),
    }


def _zipf_exponent(words: Counter[str]) -> float:
    """The slope of log frequency over log rank, between ranks 10 and 5,000."""
    counts = np.array([count for _word, count in words.most_common(5000)][9:])
    ranks = np.arange(10, 10 + len(counts))
    slope: Any = np.polyfit(np.log(ranks), np.log(counts), 1)[0]
    return -float(slope)


def _share(mark: re.Pattern[str], tokens: Sequence[str]) -> float:
    return round(sum(bool(mark.search(token)) for token in tokens) / len(tokens), 4)


def _quantiles(values: Iterable[int]) -> list[float]:
    return [round(float(one), 1) for one in np.quantile(list(values), np.linspace(0, 1, 21))]


def _letter_pairs(words: Iterable[str]) -> dict[str, dict[str, int]]:
    """How often in ten thousand pairs a letter follows another; a space stands before each word."""
    pairs = Counter(
        pair
        for word in words
        for pair in zip(f" {word}", word, strict=False)
        if word.isalpha() and word.isascii()
    )
    table: dict[str, dict[str, int]] = {}
    for (first, second), count in sorted(pairs.items()):
        if share := round(10_000 * count / pairs.total()):
            table.setdefault(first, {})[second] = share
    return table


if __name__ == "__main__":
    main()
