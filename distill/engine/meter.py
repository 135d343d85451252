"""What happens in the pool, counted: from one report to the next, a `Reading`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from distill.logic.errors import FailureKind, TeacherError
from distill.logic.reading import LaneReading, Reading, bucket_of
from distill.logic.types import Reply

_CUT_SHORT = ("length", "max_tokens")
"""How providers say that a reply reached its limit of tokens."""


@dataclass(slots=True)
class _Counts:
    sent: int = 0
    replies: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    latencies: Counter[int] = field(default_factory=Counter)


class Meter:
    """Counts what leaves and what arrives; times are seconds of any one clock.

    A reply that was cut short is counted among the replies, with its latency and its tokens, and
    as a TRUNCATED failure beside them: it was paid for, and may have to be bought again.
    """

    def __init__(self, *, slots: int, now: float) -> None:
        self._slots = slots
        self._in_flight: Counter[str] = Counter()
        self._num_in_flight = 0
        self._since = self._last = now
        self._busy_seconds = self._slot_seconds = 0.0
        self._lanes: dict[str, _Counts] = {}

    def sent(self, lane: str, *, now: float) -> None:
        self._pass_time(now)
        self._num_in_flight += 1
        self._in_flight[lane] += 1
        self._counts(lane).sent += 1

    def arrived(self, lane: str, outcome: Reply | TeacherError, *, now: float) -> None:
        self._leave(lane, now)
        counts = self._counts(lane)
        if isinstance(outcome, TeacherError):
            counts.failures[outcome.kind.value] += 1
            return
        counts.replies += 1
        counts.latencies[bucket_of(outcome.latency_ms)] += 1
        if outcome.finish_reason in _CUT_SHORT:
            counts.failures[FailureKind.TRUNCATED.value] += 1
        if outcome.usage is not None:
            counts.input_tokens += outcome.usage.prompt_tokens
            counts.output_tokens += outcome.usage.completion_tokens

    def cancelled(self, lane: str, *, now: float) -> None:
        self._leave(lane, now)

    def resize(self, slots: int, *, now: float) -> None:
        self._pass_time(now)
        self._slots = slots

    def take(self, throttles: Mapping[str, tuple[float, str]], *, now: float) -> Reading:
        """What happened since the last call; `throttles` gives each lane's limit and state."""
        self._pass_time(now)
        reading = Reading(
            seconds=now - self._since,
            slots=self._slots,
            slot_seconds=self._slot_seconds,
            busy_seconds=self._busy_seconds,
            in_flight=self._num_in_flight,
            lanes={
                lane: self._read_lane(lane, limit, state)
                for lane, (limit, state) in throttles.items()
            },
        )
        self._since, self._busy_seconds, self._slot_seconds = now, 0.0, 0.0
        self._lanes = {}
        return reading

    def _read_lane(self, lane: str, limit: float, state: str) -> LaneReading:
        counts = self._counts(lane)
        return LaneReading(
            sent=counts.sent,
            replies=counts.replies,
            failures=dict(counts.failures),
            input_tokens=counts.input_tokens,
            output_tokens=counts.output_tokens,
            latencies=dict(counts.latencies),
            in_flight=self._in_flight[lane],
            limit=limit,
            state=state,
        )

    def _counts(self, lane: str) -> _Counts:
        counts = self._lanes.get(lane)
        if counts is None:
            counts = self._lanes[lane] = _Counts()
        return counts

    def _leave(self, lane: str, now: float) -> None:
        self._pass_time(now)
        self._num_in_flight -= 1
        self._in_flight[lane] -= 1

    def _pass_time(self, now: float) -> None:
        passed = now - self._last
        self._busy_seconds += passed * self._num_in_flight
        self._slot_seconds += passed * self._slots
        self._last = now
