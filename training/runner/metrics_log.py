"""What a program of the runner says while it works: one JSON object a line, appended.

Every line is one write to a file that is opened and closed for it, so a kill leaves whole lines,
and at most one half line at the end, which the next start removes. Who reads it takes a line only
with its line break, and the later of two lines about the same step.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class MetricsLog:
    """Appends events to a file; of several ranks only the one with `is_writer` writes."""

    def __init__(self, path: Path, *, is_writer: bool = True) -> None:
        self.path = path
        self.is_writer = is_writer
        if is_writer:
            remove_half_line(path)

    def write(self, kind: str, **fields: Any) -> None:
        """Append one event; a number that JSON cannot say becomes null, with a `note`."""
        if not self.is_writer:
            return
        event = {"kind": kind, **_finite(fields), "at": datetime.now(UTC).isoformat()}
        append_lines(self.path, [event])


def append_lines(path: Path, events: list[dict[str, Any]]) -> None:
    """Append the events as lines of JSON, in one write."""
    text = "".join(
        json.dumps(event, ensure_ascii=False, allow_nan=False) + "\n" for event in events
    )
    with path.open("ab") as file:
        file.write(text.encode())


def remove_half_line(path: Path) -> None:
    """Cut what a killed writer left after the last line break."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)


def _finite(fields: Mapping[str, Any]) -> dict[str, Any]:
    odd = {
        name: value
        for name, value in fields.items()
        if isinstance(value, float) and not math.isfinite(value)
    }
    if not odd:
        return dict(fields)
    note = ", ".join(f"{name} was {value}" for name, value in odd.items())
    return {**fields, **dict.fromkeys(odd), "note": note}
