"""How a run did over a stretch of time, and what follows for the time left."""

from __future__ import annotations

from distill.logic.pulse import Pulse, read_pulse, write_pulse
from distill.logic.reading import LaneReading, Reading, bucket_of, write_reading
from distill.logic.stretch import Stretch, is_retryable, stretch_of, time_left

LANE = LaneReading(
    sent=13,
    replies=10,
    failures={"rate_limited": 2, "server": 1, "truncated": 3},
    input_tokens=9_000,
    output_tokens=2_000,
    latencies={bucket_of(100): 9, bucket_of(4_000): 1},
)
READING = Reading(seconds=5, slots=8, slot_seconds=40, busy_seconds=30, lanes={"a:b": LANE})


def _stretch(**pulse) -> Stretch:
    return stretch_of([Pulse(READING, **pulse), Pulse(READING, **pulse)], seconds=5)


def test_a_pulse_is_read_as_it_was_written() -> None:
    pulse = Pulse(READING, finished=4, waiting=2, busy=1, is_short_of_budget=True)
    assert read_pulse(write_pulse(pulse)) == pulse
    assert read_pulse({}) == Pulse()
    assert read_pulse(write_reading(READING)) == Pulse(READING)


def test_two_workers_over_the_same_seconds_are_twice_as_fast() -> None:
    both = _stretch(finished=4)
    assert (both.samples_per_s, both.replies_per_s) == (1.6, 4.0)
    assert (both.input_tokens_per_s, both.output_tokens_per_s) == (3_600, 800)
    assert (both.concurrency, both.slots, both.occupancy) == (12, 16, 0.75)
    assert both.sent == 26


def test_shares_are_of_requests_that_came_to_an_end() -> None:
    (lane,) = _stretch().lanes
    assert (lane.rate_limited, lane.failed) == (2 / 13, 4 / 13)
    assert 90 < lane.p50_ms < 110
    assert 3_600 < lane.p99_ms < 4_400
    shown = [(failure.kind, failure.count) for failure in _stretch().failures]
    assert shown == [("truncated", 6), ("rate_limited", 4), ("server", 2)]
    assert _stretch().rate_limited == 2 / 13


def test_nothing_measured_is_nothing_not_an_error() -> None:
    empty = stretch_of([], seconds=0)
    assert (empty.samples_per_s, empty.occupancy, empty.rate_limited) == (0, 0, 0)
    assert (empty.lanes, empty.failures, empty.percentile_ms(0.5)) == ([], [], None)


def test_a_kind_of_another_version_is_not_retryable() -> None:
    assert is_retryable("timeout")
    assert not is_retryable("refused")
    assert not is_retryable("of_tomorrow")


def _left(recent: Stretch, now: Pulse | None = None, *, pending: int = 160, is_counted=True):
    found = time_left(
        pending=pending,
        recent=recent,
        now=now or Pulse(),
        replies_a_draw=4,
        is_counted=is_counted,
    )
    return found.seconds, found.basis


def test_the_time_left_says_by_what_it_is_reckoned() -> None:
    assert _left(_stretch(finished=4)) == (
        100,
        "from the last 5 s: 1.6 samples/s, 160 left",
    )
    assert _left(_stretch()) == (160, "from the last 5 s: 4 replies/s, 4 a sample, 160 left")
    assert _left(_stretch(finished=4), pending=0) == (None, "")
    assert _left(Stretch(seconds=60))[1] == "no reply in the last 60 s; cannot tell"
    assert _left(Stretch())[1] == "nothing measured yet"
    assert "written down" in _left(_stretch(finished=4), is_counted=False)[1]


def test_where_a_run_waits_nobody_can_tell_how_long() -> None:
    shut = Pulse(Reading(lanes={"a:b": LaneReading(state="open"), "c:d": LaneReading()}))
    recent = _stretch(finished=4)
    assert _left(recent, shut) == (None, "waiting: a:b refuses; cannot tell")
    assert "budget" in _left(recent, Pulse(is_short_of_budget=True))[1]
    assert "another run" in _left(recent, Pulse(busy=3))[1]
    assert _left(recent, Pulse(Reading(in_flight=1), busy=3))[0] == 100
