"""When a provider wants to be asked again: headers first, then hints in the body."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

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


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _milliseconds(text: str | None) -> float | None:
    value = _number(text)
    return None if value is None else value / 1000


def _seconds_or_date(text: str | None, now: float) -> float | None:
    seconds = _number(text)
    if seconds is not None or not text:
        return seconds
    try:
        return parsedate_to_datetime(text).timestamp() - now
    except (ValueError, OverflowError):
        return None


def _hint_in(body: str) -> float | None:
    field = _RETRY_DELAY.search(body)
    if field:
        return _number(field.group(1))
    words = _TRY_AGAIN.search(body)
    return _duration(words.group(1)) if words else None


def _duration(text: str) -> float | None:
    """`1m3.5s`, `250ms`, `20 seconds` as seconds."""
    total = 0.0
    parts = re.findall(r"([\d.]+) ?([a-z]+)", text.lower())
    for amount, unit in parts:
        value, seconds = _number(amount), _unit_seconds(unit)
        if value is None or seconds is None:
            break
        total += value * seconds
    return total or None


def _unit_seconds(unit: str) -> float | None:
    if unit in ("ms", "msec") or unit.startswith("millisecond"):
        return 0.001
    if unit in ("m", "min", "mins") or unit.startswith("minute"):
        return 60.0
    if unit in ("h", "hr") or unit.startswith("hour"):
        return 3600.0
    return 1.0 if unit in ("s", "sec", "secs") or unit.startswith("second") else None
