from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.logic.errors import FailureKind
from distill.logic.reading import (
    NUM_BUCKETS,
    LaneReading,
    Reading,
    add_up,
    bucket_of,
    lay_together,
    percentile_ms,
    read_reading,
    write_reading,
)

counts = st.integers(0, 1000)
seconds = st.integers(0, 100).map(float)
lanes = st.builds(
    LaneReading,
    sent=counts,
    replies=counts,
    failures=st.dictionaries(st.sampled_from([kind.value for kind in FailureKind]), counts),
    input_tokens=counts,
    output_tokens=counts,
    latencies=st.dictionaries(st.integers(0, NUM_BUCKETS - 1), counts),
    in_flight=counts,
    limit=seconds,
    state=st.sampled_from(["closed", "half_open", "open"]),
)
readings = st.builds(
    Reading,
    seconds=seconds,
    slots=counts,
    slot_seconds=seconds,
    busy_seconds=seconds,
    in_flight=counts,
    lanes=st.dictionaries(st.sampled_from(["a", "b", "c"]), lanes, max_size=3),
)


@given(readings)
def test_a_reading_comes_back_from_json_as_it_was(reading):
    assert read_reading(json.loads(json.dumps(write_reading(reading)))) == reading


def test_an_empty_document_is_an_empty_reading():
    assert read_reading({}) == Reading() == add_up([]) == lay_together([])


@given(st.lists(readings, min_size=1, max_size=5), st.integers(0, 5))
@pytest.mark.parametrize("merge", [add_up, lay_together])
def test_merging_in_two_steps_is_merging_at_once(merge, parts, cut):
    head, tail = parts[:cut], parts[cut:]
    assert merge([merge(part) for part in (head, tail) if part]) == merge(parts)


@given(readings)
@pytest.mark.parametrize("merge", [add_up, lay_together])
def test_one_reading_alone_stays_as_it_is(merge, reading):
    assert merge([reading]) == reading


@given(st.permutations(range(3)), st.tuples(readings, readings, readings))
def test_workers_have_no_order(order, parts):
    assert lay_together([parts[index] for index in order]) == lay_together(parts)


@given(st.lists(readings, min_size=1, max_size=4))
@pytest.mark.parametrize("merge", [add_up, lay_together])
def test_no_count_is_lost(merge, parts):
    merged = merge(parts)
    assert merged.busy_seconds == sum(part.busy_seconds for part in parts)
    assert merged.slot_seconds == sum(part.slot_seconds for part in parts)
    for name in ("a", "b", "c"):
        own = [part.lanes[name] for part in parts if name in part.lanes]
        assert (name in merged.lanes) == bool(own)
        if own:
            lane = merged.lanes[name]
            assert lane.num_answered == sum(part.num_answered for part in own)
            assert sum(lane.latencies.values()) == sum(sum(p.latencies.values()) for p in own)


def test_later_seconds_bring_the_later_state_and_workers_add_theirs():
    before = Reading(1.0, 4, 4.0, 2.0, 3, {"a": LaneReading(limit=4, state="open", in_flight=3)})
    after = Reading(3.0, 2, 6.0, 6.0, 2, {"a": LaneReading(limit=2, in_flight=2)})
    later, both = add_up([before, after]), lay_together([before, after])
    assert (later.seconds, later.slots, later.in_flight, later.occupancy) == (4.0, 2, 2, 0.8)
    assert later.lanes["a"] == after.lanes["a"]
    assert (both.seconds, both.slots, both.in_flight, both.occupancy) == (3.0, 6, 5, 0.8)
    assert (both.lanes["a"].limit, both.lanes["a"].state) == (6, "open")


def test_no_time_means_no_concurrency():
    assert (Reading().concurrency, Reading().occupancy) == (0.0, 0.0)
    assert LaneReading().share_of(FailureKind.SERVER) == 0.0


@given(st.lists(st.floats(1, 800_000), min_size=1, max_size=200), st.floats(0.01, 1))
def test_a_percentile_is_off_by_at_most_half_a_bucket(values, share):
    buckets: dict[int, int] = {}
    for value in values:
        buckets[bucket_of(value)] = buckets.get(bucket_of(value), 0) + 1
    true = sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
    assert percentile_ms(buckets, share) == pytest.approx(true, rel=0.0501)


def test_percentiles_of_nothing_and_latencies_beyond_the_scale():
    assert percentile_ms({}, 0.5) is None
    assert bucket_of(0.0) == 0
    assert bucket_of(1e12) == NUM_BUCKETS - 1
