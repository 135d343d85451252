"""How a run did over a stretch of time: rates, latencies, failures, and the time left by them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from distill.logic.errors import FailureKind
from distill.logic.pulse import Pulse
from distill.logic.reading import LaneReading, Reading, lay_together, percentile_ms


@dataclass(frozen=True, slots=True)
class FailureShare:
    """So many requests failed in one way, and which share that is of all that came to an end."""

    kind: str
    count: int
    share: float
    is_retryable: bool


@dataclass(frozen=True, slots=True)
class LaneFigures:
    """One teacher over a stretch. Latencies in ms, None without a reply; shares from 0 to 1."""

    teacher: str
    replies: int
    replies_per_s: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    rate_limited: float
    failed: float
    """The share of all other failures."""


NO_FIGURES = LaneFigures("", 0, 0.0, None, None, None, 0.0, 0.0)
"""Of a teacher that nothing was measured of."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some `seconds` of a run by the clock, whatever number of workers were on it.

    `finished` sample × draws came to rest in it; `reading` holds the counts of all its workers.
    """

    seconds: float = 0.0
    finished: int = 0
    reading: Reading = field(default_factory=Reading)

    @property
    def samples_per_s(self) -> float:
        return self._a_second(self.finished)

    @property
    def replies_per_s(self) -> float:
        return self._a_second(self.replies)

    @property
    def input_tokens_per_s(self) -> float:
        return self._a_second(self.input_tokens)

    @property
    def output_tokens_per_s(self) -> float:
        return self._a_second(self.output_tokens)

    @property
    def concurrency(self) -> float:
        """Requests on the way at once, on average."""
        return self._a_second(self.reading.busy_seconds)

    @property
    def slots(self) -> float:
        """Slots on average."""
        return self._a_second(self.reading.slot_seconds)

    @property
    def occupancy(self) -> float:
        return self.reading.occupancy

    @property
    def sent(self) -> int:
        return sum(lane.sent for lane in self.reading.lanes.values())

    @property
    def replies(self) -> int:
        return sum(lane.replies for lane in self.reading.lanes.values())

    @property
    def input_tokens(self) -> int:
        return sum(lane.input_tokens for lane in self.reading.lanes.values())

    @property
    def output_tokens(self) -> int:
        return sum(lane.output_tokens for lane in self.reading.lanes.values())

    @property
    def num_answered(self) -> int:
        """Requests that came to an end, well or not."""
        return sum(lane.num_answered for lane in self.reading.lanes.values())

    @property
    def rate_limited(self) -> float:
        """Which share of the requests that came to an end was refused for a limit."""
        refused = sum(_count(lane, FailureKind.RATE_LIMITED) for lane in self._lanes)
        return refused / self.num_answered if self.num_answered else 0.0

    @property
    def lanes(self) -> list[LaneFigures]:
        """Each teacher, in the order of their names."""
        return [
            _figures(name, lane, self._a_second(lane.replies))
            for name, lane in sorted(self.reading.lanes.items())
        ]

    @property
    def failures(self) -> list[FailureShare]:
        """Each kind of failure that occurred, most frequent first."""
        counts: dict[str, int] = {}
        for lane in self._lanes:
            for kind, count in lane.failures.items():
                counts[kind] = counts.get(kind, 0) + count
        return [
            FailureShare(kind, count, count / self.num_answered, is_retryable(kind))
            for kind, count in sorted(counts.items(), key=lambda one: (-one[1], one[0]))
            if count
        ]

    @property
    def _lanes(self) -> list[LaneReading]:
        return list(self.reading.lanes.values())

    def percentile_ms(self, share: float) -> float | None:
        """The latency below which `share` of all replies came, whoever sent them."""
        merged = lay_together([Reading(lanes={"all": lane}) for lane in self._lanes])
        return percentile_ms(merged.lanes["all"].latencies, share) if merged.lanes else None

    def _a_second(self, count: float) -> float:
        return count / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """How long a run will still take, and by what that is reckoned; None: nobody can tell."""

    seconds: int | None
    basis: str


def stretch_of(pulses: Sequence[Pulse], *, seconds: float) -> Stretch:
    """What several pulses, of any workers, say together of `seconds` by the clock."""
    return Stretch(
        seconds=seconds,
        finished=sum(pulse.finished for pulse in pulses),
        reading=lay_together([pulse.reading for pulse in pulses]),
    )


def is_retryable(kind: str) -> bool:
    """Whether a failure of this kind may pass; False for a kind that this version does not know."""
    return any(kind == known and known.is_retryable for known in FailureKind)


def time_left(
    *, pending: int, recent: Stretch, now: Pulse, replies_a_draw: int, is_counted: bool
) -> TimeLeft:
    """How long `pending` sample × draws take at the pace of a `recent` stretch.

    `now` is the state of all workers laid together; `replies_a_draw` what one needs at least, for
    as long as none has come to rest yet. With `is_counted` false the run is still writing down what
    there is to do.
    """
    if not is_counted:
        return TimeLeft(None, "what there is to do is still being written down")
    if not pending:
        return TimeLeft(None, "")
    if reason := _why_waiting(now):
        return TimeLeft(None, f"waiting: {reason}; cannot tell")
    return _by_pace(pending, recent, replies_a_draw)


def _by_pace(pending: int, recent: Stretch, replies_a_draw: int) -> TimeLeft:
    span = f"the last {recent.seconds:,.0f} s"
    if recent.finished:
        words = f"from {span}: {_rate(recent.samples_per_s)} samples/s, {pending:,} left"
        return TimeLeft(math.ceil(pending / recent.samples_per_s), words)
    if recent.replies:
        seconds = math.ceil(pending * replies_a_draw / recent.replies_per_s)
        words = f"from {span}: {_rate(recent.replies_per_s)} replies/s, {replies_a_draw} a sample"
        return TimeLeft(seconds, f"{words}, {pending:,} left")
    return TimeLeft(
        None, f"no reply in {span}; cannot tell" if recent.seconds else "nothing measured yet"
    )


def _why_waiting(now: Pulse) -> str:
    lanes = now.reading.lanes
    refusing = [name for name, lane in sorted(lanes.items()) if lane.state != "closed"]
    if refusing:
        verb = "refuses" if len(refusing) == 1 else "refuse"
        return f"{', '.join(refusing)} {verb}"
    if now.is_short_of_budget:
        return "the budget is used up"
    if now.busy and not now.reading.in_flight:
        return "another run is asking the same"
    return ""


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _count(lane: LaneReading, kind: FailureKind) -> int:
    return lane.failures.get(kind.value, 0)


def _figures(teacher: str, lane: LaneReading, replies_per_s: float) -> LaneFigures:
    limited = _count(lane, FailureKind.RATE_LIMITED)
    others = sum(lane.failures.values()) - limited
    answered = lane.num_answered
    return LaneFigures(
        teacher=teacher,
        replies=lane.replies,
        replies_per_s=replies_per_s,
        p50_ms=percentile_ms(lane.latencies, 0.50),
        p95_ms=percentile_ms(lane.latencies, 0.95),
        p99_ms=percentile_ms(lane.latencies, 0.99),
        rate_limited=limited / answered if answered else 0.0,
        failed=others / answered if answered else 0.0,
    )
