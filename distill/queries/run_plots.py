"""How a run went over its whole time, thinned to what a plot can show, however long it was.

Pauses are cut out: places on the axis are seconds of work, counted from when the run began. The
points of all workers are gathered into at most `MAX_POINTS` parts of equal width by the database.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import connection

from distill.logic.reading import LaneReading, Reading
from distill.logic.stretch import Stretch
from distill.models import Run

MAX_POINTS = 240
MAX_LANES = 16
MAX_SPANS = 50
_SAMPLED_READINGS = 5_000
"""Latencies are taken from so many readings at most, spread over the run by their ids' hashes."""

_PAUSE_SECONDS = 30.0
"""Between the steps of a worker a second or two pass: shorter than this is no pause."""

_WIDTHS = (10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14_400, 43_200, 86_400)

_WORKED = """
SELECT lower(part), upper(part) - %(pause)s FROM (
    SELECT unnest(range_agg(tstzrange(
        started_at, greatest(started_at, heartbeat_at) + %(pause)s))) AS part
    FROM distill_shift WHERE run_id = %(run)s) AS parts ORDER BY 1
"""

# Each reading with its place on the axis, `x`, and the part of the axis that it falls into.
_POINT = """
WITH worked AS (
    SELECT * FROM unnest(%(begins)s::timestamptz[], %(ends)s::timestamptz[], %(before)s::float8[])
        AS worked (begins, ends, before)),
point AS (
    SELECT *, greatest(0, ceil(x / %(width)s) - 1)::int AS part FROM (
        SELECT id, at, reading, (reading ->> 'seconds')::float8 AS seconds,
            before + extract(epoch FROM at - begins)::float8 AS x
        FROM worked JOIN distill_runreading ON run_id = %(run)s AND at > begins AND at <= ends
    ) AS placed)
"""

_PARTS = """
SELECT part, num, finished, busy_seconds, slot_seconds, (
    SELECT coalesce(sum(extract(epoch FROM upper(one) - lower(one))), 0)::float8
    FROM unnest(covered) AS one)
FROM (
    SELECT part, count(*) AS num,
        coalesce(sum((reading ->> 'finished')::bigint), 0)::bigint AS finished,
        coalesce(sum((reading ->> 'busy_seconds')::float8), 0) AS busy_seconds,
        coalesce(sum((reading ->> 'slot_seconds')::float8), 0) AS slot_seconds,
        range_agg(tstzrange(at - make_interval(secs => seconds), at)) AS covered
    FROM point GROUP BY part) AS parts
ORDER BY part LIMIT %(most)s
"""

_LANES = """
SELECT part, lane.key, sum((lane.value ->> 'sent')::bigint)::bigint,
    sum((lane.value ->> 'replies')::bigint)::bigint,
    sum((lane.value ->> 'input_tokens')::bigint)::bigint,
    sum((lane.value ->> 'output_tokens')::bigint)::bigint,
    coalesce(sum((lane.value -> 'failures' ->> 'rate_limited')::bigint), 0)::bigint,
    sum((lane.value ->> 'limit')::float8 * seconds)
FROM point, jsonb_each(reading -> 'lanes') AS lane GROUP BY 1, 2 ORDER BY 2, 1 LIMIT %(most)s
"""

_FAILURES = """
SELECT lane.key, failure.key, sum(failure.value::bigint)::bigint
FROM distill_runreading, jsonb_each(reading -> 'lanes') AS lane,
    jsonb_each_text(lane.value -> 'failures') AS failure
WHERE run_id = %(run)s GROUP BY 1, 2 LIMIT %(most)s
"""

_LATENCIES = """
SELECT lane.key, bucket.key::int, sum(bucket.value::bigint)::bigint
FROM distill_runreading, jsonb_each(reading -> 'lanes') AS lane,
    jsonb_each_text(lane.value -> 'latencies') AS bucket
WHERE run_id = %(run)s AND abs(hashint8(id)::bigint) %% %(every)s = 0
GROUP BY 1, 2 LIMIT %(most)s
"""

# Readings that follow one another leave some milliseconds between them.
_OPEN = """
SELECT teacher, greatest(0, lower(span) + 0.5)::float8, upper(span)::float8 FROM (
    SELECT lane.key AS teacher, unnest(range_agg(numrange(
        (x - seconds)::numeric - 0.5, greatest(0.001, x)::numeric, '[]'))) AS span
    FROM point, jsonb_each(reading -> 'lanes') AS lane
    WHERE lane.value ->> 'state' <> 'closed' GROUP BY 1) AS spans
ORDER BY upper(span) - lower(span) DESC LIMIT %(most)s
"""


@dataclass(frozen=True, slots=True)
class Work:
    """When a run was worked on: from, to; the pauses lie between."""

    parts: tuple[tuple[datetime, datetime], ...] = ()

    @property
    def seconds(self) -> float:
        """With all pauses left out, and workers that were there together counted once."""
        return sum((end - begin).total_seconds() for begin, end in self.parts)

    @property
    def paused_seconds(self) -> float:
        if not self.parts:
            return 0.0
        return (self.parts[-1][1] - self.parts[0][0]).total_seconds() - self.seconds

    @property
    def pauses(self) -> list[tuple[float, float]]:
        """Where on the axis (seconds of work) and how long (seconds) each one was."""
        found, before = [], 0.0
        for (begin, end), (following, _) in zip(self.parts, self.parts[1:], strict=False):
            before += (end - begin).total_seconds()
            found.append((before, (following - end).total_seconds()))
        return found


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the axis: where it ends, and what all workers measured in it."""

    at: float
    stretch: Stretch


@dataclass(frozen=True, slots=True)
class LanePart:
    """One teacher in a part: its throttle's limit on average, and replies and 429s a second."""

    at: float
    limit: float
    replies_per_s: float
    rate_limited_per_s: float


@dataclass(frozen=True, slots=True)
class OpenSpan:
    """A teacher's circuit was open or half open from one place of the axis to another."""

    teacher: str
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class History:
    """A run from its beginning until now: the points of its plots, and all of it together."""

    work: Work = field(default_factory=Work)
    parts: tuple[Part, ...] = ()
    lanes: Mapping[str, Sequence[LanePart]] = field(default_factory=dict)
    open_spans: tuple[OpenSpan, ...] = ()
    total: Stretch = field(default_factory=Stretch)
    num_readings: int = 0

    @property
    def is_measured(self) -> bool:
        return self.num_readings > 0


def read_work(run: Run) -> Work:
    """When the run was worked on, in one query over its shifts."""
    values = {"run": run.pk, "pause": timedelta(seconds=_PAUSE_SECONDS)}
    return Work(tuple((begin, end) for begin, end in _rows(_WORKED, values)))


def read_history(run: Run) -> History:
    """The whole run in six queries; their answers stay as short however long it was.

    The database reads each reading five times: about a second for 100,000 of them.
    """
    work = read_work(run)
    width = _width(work.seconds)
    values = _places(run, work) | {"width": width, "most": 2 * MAX_POINTS}
    rows = _rows(_POINT + _PARTS, values)
    num = sum(row[1] for row in rows)
    if not num:
        return History(work=work)
    place = partial(_place, width=width, end=work.seconds)
    parts = tuple(_part(place, row) for row in rows)
    covered = {row[0]: row[-1] for row in rows}
    by_lane = _rows(_POINT + _LANES, values | {"most": 2 * MAX_POINTS * MAX_LANES})
    spans = _rows(_POINT + _OPEN, values | {"most": MAX_SPANS})
    return History(
        work=work,
        parts=parts,
        lanes=_lane_parts(by_lane, place, covered),
        open_spans=tuple(OpenSpan(*span) for span in sorted(spans, key=lambda span: span[1:])),
        total=_total(run, parts, by_lane, every=-(-num // _SAMPLED_READINGS)),
        num_readings=num,
    )


def _width(seconds: float) -> int:
    return next((width for width in _WIDTHS if seconds <= MAX_POINTS * width), _WIDTHS[-1])


def _places(run: Run, work: Work) -> dict[str, Any]:
    before, places = 0.0, []
    for begin, end in work.parts:
        places.append(before)
        before += (end - begin).total_seconds()
    # A worker's last reading is written when it has ceased to beat.
    late = timedelta(seconds=_PAUSE_SECONDS)
    return {
        "run": run.pk,
        "begins": [begin for begin, _ in work.parts],
        "ends": [end + late for _, end in work.parts],
        "before": places,
    }


def _place(part: int, *, width: int, end: float) -> float:
    """Where a part ends on the axis: the last one where the work ended."""
    return min((part + 1) * width, max(end, part * width + 1))


def _part(place: Callable[[int], float], row: tuple[Any, ...]) -> Part:
    part, _num, finished, busy_seconds, slot_seconds, seconds = row
    reading = Reading(seconds=seconds, busy_seconds=busy_seconds, slot_seconds=slot_seconds or 0.0)
    return Part(place(part), Stretch(seconds, finished, reading))


def _lane_parts(
    rows: Iterable[tuple[Any, ...]],
    place: Callable[[int], float],
    covered: Mapping[int, float],
) -> dict[str, list[LanePart]]:
    lanes: dict[str, list[LanePart]] = defaultdict(list)
    for part, teacher, _sent, replies, _input, _output, limited, limit_seconds in rows:
        seconds = covered.get(part) or 1.0
        lanes[teacher].append(
            LanePart(place(part), limit_seconds / seconds, replies / seconds, limited / seconds)
        )
    return dict(lanes)


def _total(
    run: Run, parts: Sequence[Part], by_lane: Iterable[tuple[Any, ...]], *, every: int
) -> Stretch:
    values = {"run": run.pk, "every": every, "most": 1000 * MAX_LANES}
    failures: dict[str, dict[str, int]] = defaultdict(dict)
    for teacher, kind, count in _rows(_FAILURES, values):
        failures[teacher][kind] = count
    latencies: dict[str, dict[int, int]] = defaultdict(dict)
    for teacher, bucket, count in _rows(_LATENCIES, values):
        latencies[teacher][bucket] = count
    counts: dict[str, list[int]] = {}
    for _part, teacher, *numbers, _limited, _limit in by_lane:
        before = counts.get(teacher, [0] * len(numbers))
        counts[teacher] = [old + new for old, new in zip(before, numbers, strict=True)]
    lanes = {
        teacher: LaneReading(
            sent=numbers[0],
            replies=numbers[1],
            failures=failures[teacher],
            input_tokens=numbers[2],
            output_tokens=numbers[3],
            latencies=latencies[teacher],
        )
        for teacher, numbers in counts.items()
    }
    return Stretch(
        seconds=sum(part.stretch.seconds for part in parts),
        finished=sum(part.stretch.finished for part in parts),
        reading=Reading(
            busy_seconds=sum(part.stretch.reading.busy_seconds for part in parts),
            slot_seconds=sum(part.stretch.reading.slot_seconds for part in parts),
            lanes=lanes,
        ),
    )


def _rows(query: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())
