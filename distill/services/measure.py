"""What a worker says of itself: a pulse each second, and the points of its run's plots."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from distill.logic.pulse import Pulse, write_pulse
from distill.logic.reading import Reading, add_up
from distill.models import RunReading, Shift

POINT_SECONDS = 5.0
LONG_SECONDS = 3600.0
"""A shift that has gone on for so long leaves fewer points."""
LONG_POINT_SECONDS = 30.0
_REMEMBERED_FOR = timedelta(hours=1)
_LOOKED_THROUGH = 500

_LIMITS = """
SELECT DISTINCT ON (name) name, (reading -> 'lanes' -> name ->> 'limit')::float
FROM (
    SELECT id, at, reading FROM distill_runreading ORDER BY id DESC LIMIT %(rows)s
) AS newest, unnest(%(names)s::text[]) AS name
WHERE at > %(since)s AND reading -> 'lanes' -> name ->> 'state' = 'closed'
ORDER BY name, id DESC
"""


class Measure:
    """Gathers the readings of a shift. `seconds` since its begin thin out the points."""

    def __init__(self, shift: Shift) -> None:
        self._shift = shift
        self._since_beat: list[Reading] = []
        self._since_point: list[Pulse] = []
        self._seconds = 0.0

    def add(self, reading: Reading) -> None:
        self._since_beat.append(reading)

    def take(self, *, finished: int, waiting: int, busy: int, is_short_of_budget: bool) -> Pulse:
        """What happened since the last call; stored as a point every few seconds."""
        pulse = Pulse(add_up(self._since_beat), finished, waiting, busy, is_short_of_budget)
        self._since_beat = []
        self._since_point.append(pulse)
        seconds = sum(one.reading.seconds for one in self._since_point)
        is_long = self._seconds > LONG_SECONDS
        if seconds >= (LONG_POINT_SECONDS if is_long else POINT_SECONDS):
            self.store_point()
        return pulse

    def store_point(self) -> None:
        """Store what no point holds yet."""
        pulses, self._since_point = self._since_point, []
        if not pulses:
            return
        last = pulses[-1]
        reading = add_up([pulse.reading for pulse in pulses])
        self._seconds += reading.seconds
        finished = sum(pulse.finished for pulse in pulses)
        whole = Pulse(reading, finished, last.waiting, last.busy, last.is_short_of_budget)
        RunReading.objects.create(
            run_id=self._shift.run_id,
            shift=self._shift,
            at=timezone.now(),
            reading=write_pulse(whole),
        )


def remembered_limits(names: Collection[str]) -> dict[str, float]:
    """How many requests at once each teacher has borne lately, in any run, as far as is known."""
    values: dict[str, Any] = {
        "rows": _LOOKED_THROUGH,
        "names": list(names),
        "since": timezone.now() - _REMEMBERED_FOR,
    }
    with connection.cursor() as cursor:
        cursor.execute(_LIMITS, values)
        return dict(cursor.fetchall())
