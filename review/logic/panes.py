"""Which texts of a completion stand on its card, and in which order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

FIRST = ("hypothesis", "methodology")


@dataclass(frozen=True, slots=True)
class Pane:
    """One headed text; `name` is its field's, empty for the whole answer."""

    label: str
    text: str
    name: str = ""


def panes(fields: Mapping[str, object], *, text: str) -> list[Pane]:
    """Hypothesis and methodology first, further fields after them; the whole answer if none."""
    order = [*(name for name in FIRST if name in fields), *(n for n in fields if n not in FIRST)]
    found = [Pane(name.replace("_", " ").capitalize(), str(fields[name]), name) for name in order]
    return found or [Pane("Answer", text)]
