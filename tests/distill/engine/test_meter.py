from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.engine.meter import Meter
from distill.logic.errors import FailureKind, TeacherError
from distill.logic.types import Reply, Usage

CLOSED = {"a": (8.0, "closed"), "b": (2.5, "open")}


def make_reply(finish_reason="stop", usage=Usage(10, 20), latency_ms=100):  # noqa: B008 - frozen
    return Reply(b"{}", "text", finish_reason, "model", usage, latency_ms)


def test_it_counts_what_leaves_and_what_arrives_in_each_lane():
    meter = Meter(slots=4, now=0.0)
    for lane in ("a", "a", "a", "b"):
        meter.sent(lane, now=0.0)
    meter.arrived("a", make_reply(), now=1.0)
    meter.arrived("a", make_reply(usage=None), now=1.0)
    meter.arrived("b", TeacherError(FailureKind.SERVER, "no"), now=2.0)
    reading = meter.take(CLOSED, now=2.0)
    a, b = reading.lanes["a"], reading.lanes["b"]
    assert (a.sent, a.replies, a.input_tokens, a.output_tokens, a.in_flight) == (3, 2, 10, 20, 1)
    assert sum(a.latencies.values()) == 2
    assert (b.sent, b.replies, b.failures, b.in_flight) == (1, 0, {"server": 1}, 0)
    assert (a.limit, a.state, b.limit, b.state) == (8.0, "closed", 2.5, "open")
    assert reading.in_flight == 1
    assert reading.busy_seconds == pytest.approx(1 + 1 + 2 + 2)
    assert reading.occupancy == pytest.approx(6 / 8)


@pytest.mark.parametrize("finish_reason", ["length", "max_tokens"])
def test_a_reply_cut_short_is_a_reply_and_a_failure(finish_reason):
    meter = Meter(slots=1, now=0.0)
    meter.sent("a", now=0.0)
    meter.arrived("a", make_reply(finish_reason), now=1.0)
    lane = meter.take(CLOSED, now=1.0).lanes["a"]
    assert (lane.replies, lane.failures, lane.num_answered) == (1, {"truncated": 1}, 1)
    assert lane.share_of(FailureKind.TRUNCATED) == 1.0


def test_a_cancelled_request_is_on_the_way_no_more():
    meter = Meter(slots=1, now=0.0)
    meter.sent("a", now=0.0)
    meter.cancelled("a", now=3.0)
    reading = meter.take(CLOSED, now=5.0)
    assert (reading.in_flight, reading.busy_seconds, reading.lanes["a"].sent) == (0, 3.0, 1)


def test_slots_count_for_as_long_as_they_were_there():
    meter = Meter(slots=4, now=0.0)
    meter.resize(2, now=3.0)
    reading = meter.take({}, now=5.0)
    assert (reading.slots, reading.slot_seconds) == (2, 4 * 3 + 2 * 2)


@given(
    spans=st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=20),
    cuts=st.sets(st.integers(1, 100)),
)
def test_however_it_is_cut_into_readings_the_seconds_and_counts_are_all_there(spans, cuts):
    events = [(start, "sent") for start, _ in spans]
    events += [(start + length, "arrived") for start, length in spans]
    events += [(cut, "take") for cut in {*cuts, 101}]
    meter, readings = Meter(slots=3, now=0), []
    order = ["sent", "arrived", "take"].index
    for at, what in sorted(events, key=lambda event: (event[0], order(event[1]))):
        if what == "sent":
            meter.sent("a", now=at)
        elif what == "arrived":
            meter.arrived("a", make_reply(), now=at)
        else:
            readings.append(meter.take(CLOSED, now=at))
    assert sum(reading.seconds for reading in readings) == 101
    assert sum(reading.slot_seconds for reading in readings) == 303
    assert sum(reading.busy_seconds for reading in readings) == sum(s for _, s in spans)
    assert sum(reading.lanes["a"].replies for reading in readings) == len(spans)
    assert all(reading.seconds > 0 for reading in readings)
    assert readings[-1].in_flight == 0
