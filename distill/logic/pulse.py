"""What a worker says of itself: each second in its shift, every few seconds as a point of the plots.

It is a reading with what only the book knows. `write_pulse` fills `Shift.pulse` and
`RunReading.reading`; what a window alone has written (`write_reading`) is read as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from distill.logic.reading import Reading, read_reading, write_reading

_OWN = ("finished", "waiting", "busy", "is_short_of_budget")


@dataclass(frozen=True, slots=True)
class Pulse:
    """A reading, and beside it: how many sample × draws came to rest in its seconds; how many
    requests wait for their next try, and how many for another run's reply, at its end; whether what
    comes next does not fit into the budget before something that is on the way has come back."""

    reading: Reading = field(default_factory=Reading)
    finished: int = 0
    waiting: int = 0
    busy: int = 0
    is_short_of_budget: bool = False


def write_pulse(pulse: Pulse) -> dict[str, Any]:
    """The pulse as plain JSON values: its reading's, and its own beside them."""
    return write_reading(pulse.reading) | {name: getattr(pulse, name) for name in _OWN}


def read_pulse(stored: Mapping[str, Any]) -> Pulse:
    """The pulse that `write_pulse` wrote; an empty one of an empty document."""
    own = {name: stored[name] for name in _OWN if name in stored}
    rest = {name: value for name, value in stored.items() if name not in _OWN}
    return Pulse(reading=read_reading(rest), **own)
