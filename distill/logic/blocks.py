"""Foreign text inside a prompt: between marker lines that it cannot close.

A passage or an answer stands between `<tag>` and `</tag>`, each on a line of its own. Wherever
foreign text itself holds such a marker, its `<` is shown as `‹`: nothing is hidden, the length
stays the same, and the block ends only where we end it.
"""

from __future__ import annotations

import re
from typing import Literal

Tag = Literal["passage", "answer", "rejected_answer"]

MARKER = re.compile(r"<(?=[\s/]*(?:passage|answer|rejected_answer)\b)", re.IGNORECASE)


def neutralise(text: str) -> str:
    """The text with every marker of ours made harmless; as long as before."""
    return MARKER.sub("‹", text)


def block(tag: Tag, text: str) -> str:
    """The text between its marker lines, its own markers made harmless."""
    return f"<{tag}>\n{neutralise(text)}\n</{tag}>"
