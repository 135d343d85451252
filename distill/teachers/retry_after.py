"""When a provider wants to be asked again: headers first, then hints in the body."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from distill.teachers.durations import read_duration, read_number

_MAX_SECONDS = 24 * 3600.0

_RETRY_DELAY = re.compile(r'"(?:retryDelay|retry_after|retryAfter)"\s*:\s*"?([\d.]+)(s?)"?')
_TRY_AGAIN = re.compile(
    r"(?:try again|retry) (?:in|after) ((?:[\d.]+ ?[a-z]+ ?){1,3})", re.IGNORECASE
)


def read_retry_after(headers: Mapping[str, str], raw: bytes, *, now: float) -> float | None:
    """Seconds to wait, or None where nothing says so.

    Reads `retry-after-ms`, `Retry-After` (seconds or an HTTP date, compared with `now`, the Unix
    time), then the body: `retryDelay`/`retry_after` fields and "try again in 1m3.5s". Never
    negative, at most a day.
    """
    candidates = (
        _milliseconds(headers.get("retry-after-ms")),
        _seconds_or_date(headers.get("Retry-After"), now),
        _hint_in(raw[:20_000].decode("utf-8", "replace")),
    )
    for seconds in candidates:
        if seconds is not None and math.isfinite(seconds):
            return min(max(seconds, 0.0), _MAX_SECONDS)
    return None


def _milliseconds(text: str | None) -> float | None:
    value = read_number(text)
    return None if value is None else value / 1000


def _seconds_or_date(text: str | None, now: float) -> float | None:
    seconds = read_number(text)
    if seconds is not None or not text:
        return seconds
    try:
        return parsedate_to_datetime(text).timestamp() - now
    except (ValueError, OverflowError):
        return None


def _hint_in(body: str) -> float | None:
    field = _RETRY_DELAY.search(body)
    if field:
        return read_number(field.group(1))
    words = _TRY_AGAIN.search(body)
    return read_duration(words.group(1)) if words else None
