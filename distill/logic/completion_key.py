"""The name of a completion: the same on every machine that holds the same answer."""

from __future__ import annotations

import hashlib


def completion_key(*, sample_key: str, draw: int, attempt: int, teacher: str, text: str) -> str:
    """32 hexadecimal digits from a sample's key, the draw, the attempt, the teacher and its text.

    The parts are joined with a character that none of the first four holds, and the text comes
    last, so that no two different completions share their joined form.
    """
    joined = "\x1f".join((sample_key, str(draw), str(attempt), teacher, text))
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:32]
