"""Numbers and lengths of time as providers write them in headers and messages."""

from __future__ import annotations

import math
import re

_PART = re.compile(r"([\d.]+) ?([a-z]+)")
_MAX_LENGTH = 64


def read_number(text: str | None) -> float | None:
    """The finite number that `text` is, or None."""
    if not text or len(text) > _MAX_LENGTH:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def read_duration(text: str) -> float | None:
    """`1m3.5s`, `250ms`, `20 seconds` as seconds; None where it is no length of time."""
    total, is_found = 0.0, False
    for amount, unit in _PART.findall(text[:_MAX_LENGTH].lower()):
        value, seconds = read_number(amount), _unit_seconds(unit)
        if value is None or seconds is None:
            break
        total += value * seconds
        is_found = True
    return total if is_found else None


def _unit_seconds(unit: str) -> float | None:
    if unit in ("ms", "msec") or unit.startswith("millisecond"):
        return 0.001
    if unit in ("m", "min", "mins") or unit.startswith("minute"):
        return 60.0
    if unit in ("h", "hr") or unit.startswith("hour"):
        return 3600.0
    if unit == "d" or unit.startswith("day"):
        return 86_400.0
    return 1.0 if unit in ("s", "sec", "secs") or unit.startswith("second") else None
