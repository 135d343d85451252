"""What a worker measures while it asks: a reading of some seconds, and how readings add up.

Readings of several workers, or of successive seconds, are merged for a page or a plot. They are
stored as JSON (`write_reading`, `read_reading`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from distill.logic.errors import FailureKind

_FIRST_MS = 1.0
_GROWTH = 1.1
NUM_BUCKETS = 144
"""From 1 ms to 15 minutes; a percentile is off by at most 5 % (half a bucket)."""


@dataclass(frozen=True, slots=True)
class LaneReading:
    """One teacher during a reading: counts, tokens, how long its replies took, its throttle.

    `failures` counts requests that failed, by `FailureKind`; a reply that was cut short counts
    among the `replies` and, as "truncated", among the failures too. `latencies` maps a bucket's
    number to how many replies fell into it. `in_flight` and `limit` are how many requests were on
    the way and how many the throttle allowed at once, at the end; `state` whether its circuit was
    "closed", "open" or "half_open" then.
    """

    sent: int = 0
    replies: int = 0
    failures: Mapping[str, int] = field(default_factory=dict)
    input_tokens: int = 0
    output_tokens: int = 0
    latencies: Mapping[int, int] = field(default_factory=dict)
    in_flight: int = 0
    limit: float = 0.0
    state: str = "closed"

    @property
    def num_answered(self) -> int:
        """Requests that came to an end, each once: what shares of failures are shares of."""
        failed = sum(self.failures.values()) - self.failures.get(FailureKind.TRUNCATED.value, 0)
        return self.replies + failed

    def share_of(self, kind: FailureKind) -> float:
        """Which share of the requests that came to an end failed so, 0 to 1."""
        return self.failures.get(kind.value, 0) / self.num_answered if self.num_answered else 0.0


@dataclass(frozen=True, slots=True)
class Reading:
    """Some seconds of a worker.

    `busy_seconds` adds up over its slots: each counts while its request is on the way, from the
    moment it was sent to the last byte of its reply. `slots` and `in_flight` are those of the end;
    `slot_seconds` adds up the slots over the seconds, as they may have changed between.
    """

    seconds: float = 0.0
    slots: int = 0
    slot_seconds: float = 0.0
    busy_seconds: float = 0.0
    in_flight: int = 0
    lanes: Mapping[str, LaneReading] = field(default_factory=dict)

    @property
    def concurrency(self) -> float:
        """Requests on the way at once, on average."""
        return self.busy_seconds / self.seconds if self.seconds else 0.0

    @property
    def occupancy(self) -> float:
        """Which share of the slots was busy; above 1 only while a pool that shrank empties."""
        return self.busy_seconds / self.slot_seconds if self.slot_seconds else 0.0


def bucket_of(latency_ms: float) -> int:
    """The bucket of a latency; bucket n begins at 1.1**n ms."""
    if latency_ms <= _FIRST_MS:
        return 0
    return min(NUM_BUCKETS - 1, int(math.log(latency_ms / _FIRST_MS, _GROWTH)))


def percentile_ms(latencies: Mapping[int, int], share: float) -> float | None:
    """The latency below which `share` (0 to 1) of the replies came; None without any."""
    wanted = share * sum(latencies.values())
    seen = 0
    for bucket in sorted(latencies):
        seen += latencies[bucket]
        if seen >= wanted:
            return float(_FIRST_MS * _GROWTH ** (bucket + 0.5))
    return None


def add_up(readings: Sequence[Reading]) -> Reading:
    """Readings of one worker, one after the other: counts and seconds add up, the last state stands."""
    if not readings:
        return Reading()
    return replace(
        _sum_lanes(readings, _later_lane),
        seconds=sum(reading.seconds for reading in readings),
        slots=readings[-1].slots,
        in_flight=readings[-1].in_flight,
    )


def lay_together(readings: Sequence[Reading]) -> Reading:
    """Readings of several workers over the same seconds: slots and limits add up, seconds do not."""
    if not readings:
        return Reading()
    return replace(
        _sum_lanes(readings, _parallel_lane),
        # A worker that was there for a part of the time adds its slots for that part alone.
        seconds=max(reading.seconds for reading in readings),
        slots=sum(reading.slots for reading in readings),
        in_flight=sum(reading.in_flight for reading in readings),
    )


def write_reading(reading: Reading) -> dict[str, Any]:
    """The reading as plain JSON values."""
    return asdict(reading)


def read_reading(stored: Mapping[str, Any]) -> Reading:
    """The reading that `write_reading` wrote; an empty one of an empty document."""
    lanes = {
        name: LaneReading(
            **{
                **lane,
                "latencies": {int(bucket): count for bucket, count in lane["latencies"].items()},
            }
        )
        for name, lane in stored.get("lanes", {}).items()
    }
    return Reading(**{**stored, "lanes": lanes})


def _sum_lanes(
    readings: Sequence[Reading], merge: Callable[[LaneReading, LaneReading], LaneReading]
) -> Reading:
    lanes: dict[str, LaneReading] = {}
    for reading in readings:
        for name, lane in reading.lanes.items():
            lanes[name] = merge(lanes[name], lane) if name in lanes else lane
    return Reading(
        slot_seconds=sum(reading.slot_seconds for reading in readings),
        busy_seconds=sum(reading.busy_seconds for reading in readings),
        lanes=lanes,
    )


def _later_lane(first: LaneReading, second: LaneReading) -> LaneReading:
    return replace(
        _counts(first, second),
        in_flight=second.in_flight,
        limit=second.limit,
        state=second.state,
    )


def _parallel_lane(one: LaneReading, other: LaneReading) -> LaneReading:
    worst = max(one.state, other.state, key=["closed", "half_open", "open"].index)
    return replace(
        _counts(one, other),
        in_flight=one.in_flight + other.in_flight,
        limit=one.limit + other.limit,
        state=worst,
    )


def _counts(one: LaneReading, other: LaneReading) -> LaneReading:
    return LaneReading(
        sent=one.sent + other.sent,
        replies=one.replies + other.replies,
        failures=_added(one.failures, other.failures),
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        latencies=_added(one.latencies, other.latencies),
    )


def _added(one: Mapping[Any, int], other: Mapping[Any, int]) -> dict[Any, int]:
    total: dict[Any, int] = dict(one)
    for key, count in other.items():
        total[key] = total.get(key, 0) + count
    return total
