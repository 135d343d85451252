"""What changed between two texts, word by word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

Change = Literal["kept", "removed", "added"]

MAX_WORDS = 3_000
"""Of each text; comparing takes time with the product of both. Longer ones stand side by side."""

# A space goes with the word before it: so a changed phrase stays one piece.
_WORDS = re.compile(r"\S+\s*|\s+")


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of text, and whether it is in both texts or in one of them."""

    change: Change
    text: str


def word_diff(before: str, after: str) -> tuple[Part, ...]:
    """The two texts as one: kept and removed parts make up `before`, kept and added ones `after`.

    Texts of more than `MAX_WORDS` words are not compared: all of one, then all of the other.
    """
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    if max(len(old), len(new)) > MAX_WORDS:
        return tuple(_parts(("removed", [before]), ("added", [after])))
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    return tuple(
        part
        for tag, i, j, k, m in matcher.get_opcodes()
        for part in (
            _parts(("kept", old[i:j]))
            if tag == "equal"
            else _parts(("removed", old[i:j]), ("added", new[k:m]))
        )
    )


def _parts(*changes: tuple[Change, list[str]]) -> Iterator[Part]:
    for change, words in changes:
        if text := "".join(words):
            yield Part(change, text)
