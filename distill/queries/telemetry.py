"""How a run goes just now: who works on it, and what they measured in the last minute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from distill.logic.pulse import Pulse, read_pulse
from distill.logic.reading import Reading, lay_together
from distill.logic.stretch import NO_FIGURES, LaneFigures, Stretch, stretch_of
from distill.models import Run, Shift

HEARD_WITHIN = timedelta(seconds=15)
"""A worker silent for longer has lost its part: what it last said counts no more."""

RECENT = timedelta(seconds=60)
"""Rates, latencies and the time left are those of this stretch."""

MAX_WORKERS = 64
"""So many shifts are looked at, the latest ones."""

_MAX_READINGS = 20 * MAX_WORKERS
"""Of a minute: points are some seconds apart."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A process on the run: where, since when, last heard of, and its part of the slots."""

    host: str
    pid: int
    since: datetime
    heard_at: datetime
    is_heard: bool
    slots: int
    in_flight: int
    share: float
    """Of the slots of all workers that are heard of, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One teacher just now: what its throttle allows, its circuit, and the last minute's figures."""

    teacher: str
    in_flight: int
    limit: float
    state: str
    recent: LaneFigures


@dataclass(frozen=True, slots=True)
class Live:
    """What the workers say: each, all of them just now, and over the last minute."""

    workers: tuple[Worker, ...] = ()
    now: Pulse = field(default_factory=Pulse)
    recent: Stretch = field(default_factory=Stretch)
    last_heard_at: datetime | None = None

    @property
    def lanes(self) -> list[Lane]:
        recent = {figures.teacher: figures for figures in self.recent.lanes}
        return [
            Lane(name, lane.in_flight, lane.limit, lane.state, recent.get(name, NO_FIGURES))
            for name, lane in sorted(self.now.reading.lanes.items())
        ]

    @property
    def open_lanes(self) -> list[str]:
        """The teachers to which nothing, or only a probe, is sent."""
        lanes = sorted(self.now.reading.lanes.items())
        return [name for name, lane in lanes if lane.state != "closed"]

    @property
    def is_behind_another_run(self) -> bool:
        """Nothing is on the way: all that is left waits for what another run has asked."""
        return bool(self.now.busy) and not self.now.reading.in_flight


def read_live(run: Run, *, now: datetime) -> Live:
    """What the run's workers say, in two queries, both of the last rows of an index."""
    if not run.is_active:
        return Live()
    shifts = list(run.shifts.order_by("-id")[:MAX_WORKERS])
    at_work = [shift for shift in shifts if shift.ended_at is None]
    heard = {shift.pk for shift in at_work if now - shift.heartbeat_at <= HEARD_WITHIN}
    pulses = {shift.pk: read_pulse(shift.pulse) for shift in at_work if shift.pk in heard}
    together = lay_pulses_together(list(pulses.values()))
    return Live(
        workers=tuple(
            _worker(shift, pulses.get(shift.pk), together) for shift in reversed(at_work)
        ),
        now=together,
        recent=_recent(run, now),
        last_heard_at=max((shift.heartbeat_at for shift in shifts), default=None),
    )


def lay_pulses_together(pulses: Sequence[Pulse]) -> Pulse:
    """The pulses of several workers as one."""
    return Pulse(
        reading=lay_together([pulse.reading for pulse in pulses]),
        finished=sum(pulse.finished for pulse in pulses),
        waiting=sum(pulse.waiting for pulse in pulses),
        busy=sum(pulse.busy for pulse in pulses),
        is_short_of_budget=any(pulse.is_short_of_budget for pulse in pulses),
    )


def _worker(shift: Shift, pulse: Pulse | None, together: Pulse) -> Worker:
    """`pulse` is None where the shift is not heard of any more."""
    own = pulse.reading if pulse else Reading()
    slots = together.reading.slots
    return Worker(
        host=shift.host,
        pid=shift.pid,
        since=shift.started_at,
        heard_at=shift.heartbeat_at,
        is_heard=pulse is not None,
        slots=own.slots,
        in_flight=own.in_flight,
        share=own.slots / slots if slots else 0.0,
    )


def _recent(run: Run, now: datetime) -> Stretch:
    rows: list[tuple[datetime, Mapping[str, Any]]] = list(
        run.readings.filter(at__gt=now - RECENT)
        .order_by("-at")
        .values_list("at", "reading")[:_MAX_READINGS]
    )
    if not rows:
        return Stretch()
    pulses = [read_pulse(stored) for _, stored in rows]
    began = min(
        at - timedelta(seconds=pulse.reading.seconds)
        for (at, _), pulse in zip(rows, pulses, strict=True)
    )
    seconds = (rows[0][0] - began).total_seconds()
    return stretch_of(pulses, seconds=seconds)
