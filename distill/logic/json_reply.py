"""The JSON object in a model's reply."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

_FENCE = "```"


def read_json_object(text: str) -> dict[str, Any] | None:
    """The object that the reply holds, or None.

    Exactly three forms are understood, tried in this order: the reply is the object; the object
    stands in a code fence; the object stands between prose (first `{` to last `}`). Nothing else
    is repaired: no missing quote or bracket, no single quotes, no NaN.
    """
    for candidate in _candidates(text.strip()):
        try:
            value = orjson.loads(candidate)
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            continue
        return value if isinstance(value, dict) else None
    return None


def _candidates(text: str) -> Iterator[str]:
    yield text
    opening = text.find(_FENCE)
    closing = text.rfind(_FENCE)
    if opening < closing:
        _language, _newline, inside = text[opening + len(_FENCE) : closing].partition("\n")
        yield inside
    start, end = text.find("{"), text.rfind("}")
    if 0 <= start < end:
        yield text[start : end + 1]
