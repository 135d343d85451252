"""What a program of the runner wrote of its work: lines of a file, so text from outside."""

from __future__ import annotations

from collections.abc import Callable
from datetime import MAXYEAR, MINYEAR, datetime
from typing import Any

import orjson

_MOST = 2**31 - 1
"""What a database's integer holds."""
_LARGEST = 1e100
"""A measure beyond this is none; the mean of any number of others can be reckoned."""


def read_events(lines: bytes) -> tuple[list[dict[str, Any]], int]:
    """The events of whole lines, in their order, and how many lines are none.

    What later hands rely on is there and of its type. A NUL in a text, which no database text
    holds, is U+FFFD.
    """
    found = [_read(line) for line in lines.split(b"\n") if line.strip()]
    events = [event for event in found if event is not None]
    return events, len(found) - len(events)


def _read(line: bytes) -> dict[str, Any] | None:
    try:
        event = orjson.loads(line.replace(b"\\u0000", b"\\ufffd"))
    except orjson.JSONDecodeError:
        return None
    return event if isinstance(event, dict) and _is_event(event) else None


def _is_event(event: dict[str, Any]) -> bool:
    kind = event.get("kind")
    if not isinstance(kind, str):
        return False
    needed = all(check(event.get(name)) for name, check in _NEEDED.get(kind, {}).items())
    return needed and all(_is_measure(event[name]) for name in _MEASURES if name in event)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST


def _is_measure(value: object) -> bool:
    if isinstance(value, bool):
        return False
    return value is None or (isinstance(value, int | float) and abs(value) <= _LARGEST)


def _is_moment(value: object) -> bool:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return False
    # The years beside these have no place in a database once the zone is taken off.
    return moment.tzinfo is not None and MINYEAR < moment.year < MAXYEAR


_NEEDED: dict[str, dict[str, Callable[[object], bool]]] = {
    "begin": {"step": _is_count, "max_steps": _is_count},
    "report": {"split": _is_text},
    "train": {"step": _is_count, "at": _is_moment},
    "validation": {"step": _is_count, "at": _is_moment},
    "end": {"why": _is_text},
    "error": {"message": _is_text},
    "answer": {"role": _is_text, "done": _is_count},
}
_MEASURES = ("loss", "learning_rate", "grad_norm", "tokens", "tokens_per_second", "train_loss")
