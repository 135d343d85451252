"""Text from outside in a form that the database takes."""

from __future__ import annotations

import re

_NOT_STORABLE = re.compile("[\0\ud800-\udfff]")


def storable(text: str, *, limit: int | None = None) -> str:
    """The text with NULs and halves of surrogate pairs as U+FFFD, cut to `limit` characters.

    PostgreSQL refuses NUL in text, and UTF-8 has no form for a lone surrogate.
    """
    if text.isascii() and "\0" not in text:
        return text[:limit]
    return _NOT_STORABLE.sub("\ufffd", text)[:limit]
