"""Texts that are made to be slow, for the tests and, at two megabytes each, for the benchmark.

A rule whose expression backtracks, or keeps all its matches, takes minutes or gigabytes of one of
them. Nothing here is timed: `benchmarks` measures whether twice the text takes twice the time.
"""

from __future__ import annotations

from collections.abc import Mapping

SIZE = 2_000_000

_PIECES: Mapping[str, str] = {
    "opening brackets": "(",
    "opening brackets in pairs": "([",
    "unfinished citations": "[1,",
    "whole citations": "[1] ",
    "unfinished LaTeX": "\\cite[",
    "names": "Aa ",
    "angle brackets": "<",
    "unfinished tags": "<br ",
    "code fences": "```",
    "code fences on lines": "```\n",
    "bold marks": "**",
    "table bars": "|",
    "table rows": "|--|\n",
    "letters as words": "a ",
    "hedges": "may X ",
    "different hedges": "may might perhaps it is possible that ",
    "negations": "not ",
    "hazards": "BSL-3 ",
    "refusals": "I cannot ",
    "list marks": "1. \n",
    "placeholders": "[insert ",
    "braces": "{{a",
    "underscores": "_",
    "spaces": " ",
    "line breaks": "\n",
    "full stops": ".",
    "short sentences": "It. Is. ",
    "a sentence": "It grows faster in the warm water of the tank. ",
    "commas": ",",
    "digits": "1",
    "one word": "x",
    "one word beyond ASCII": "é",
    "NUL": "\0",
    "replacement characters": "\ufffd",
    "combining marks": "e\u0301\u0323",
    "combining marks alone": "\u0301",
    "zero-width joiners": "\u200d",
    "emoji": "🧪",
    "right-to-left marks": "\u202e\u0627",
    "Chinese": "細胞。",
    "no-break spaces": "\u00a0",
    "half a surrogate pair": "\ud800",
    "phrases": "the growth of the cells is the growth of ",
    "German": "der die das ",
    "dots and letters": "a.b",
    "e-mail signs": "a@",
    "numbers with signs": "+49 ",
    "numbers of telephones": "030 ",
    "addresses without an end": "a.a.a@",
    "places of homes": "home 1.2345, ",
    "bytes of addresses": "10.",
    "acts on nobody": "treat ",
    "people to whom nothing is done": "patients are randomly ",
    "negated hazards": "no BSL-3 ",
    "hazards in a list": "sarin, ",
    "germs that grow": "culture a ",
    "steps that begin": "first 1. ",
    "comparisons without an end": "more or between a ",
}


def hostile_texts(size: int = SIZE) -> dict[str, str]:
    """By what each is made of: a piece repeated to `size` characters, and two that open no end."""
    texts = {name: piece * (size // len(piece)) for name, piece in _PIECES.items()}
    deep = size // 2
    texts["brackets inside brackets"] = "(" * deep + ")" * deep
    texts["words of growing length"] = _growing(size)
    return texts


def _growing(size: int) -> str:
    words: list[str] = []
    length = 0
    while length < size:
        words.append("ab" * (len(words) % 500 + 1))
        length += len(words[-1]) + 1
    return " ".join(words)[:size]
