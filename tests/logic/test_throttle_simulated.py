"""The throttle against simulated providers. Time is simulated, ratios are asserted."""

from __future__ import annotations

import bisect

import pytest

from distill.logic.errors import FailureKind
from distill.logic.limits import Limits
from distill.logic.throttle import Throttle
from tests.logic.provider_simulation import (
    Simulation,
    bucket_with_headers,
    capacity,
    outage,
    random_refusals,
    window_with_headers,
)


def simulate(provider, *, slots=256, until=60.0, limits=None, **more):
    throttle = Throttle(ceiling=slots, limits=limits, now=0.0)
    return Simulation(throttle, provider, **more).run(until)


@pytest.mark.parametrize("slots", [256, 1024])
@pytest.mark.parametrize(
    ("places", "refusal_seconds", "until"),
    [
        (5, 0.02, 140),
        (5, 1.0, 140),
        (20, 0.02, 100),
        (20, 1.0, 100),
        (200, 0.02, 60),
        (200, 1.0, 60),
    ],
)
def test_a_provider_of_limited_capacity_is_used_and_left_in_peace(
    slots, places, refusal_seconds, until
):
    provider = capacity(places, refusal_seconds=refusal_seconds)
    simulated = simulate(provider, slots=slots, until=until)
    assert simulated.replies_per_second(20, until) / places >= 0.9
    assert simulated.share_failed(20) <= 0.1
    assert simulated.num_asked < 3 * len(simulated.events)


@pytest.mark.parametrize("share", [0.02, 0.05])
@pytest.mark.parametrize("slots", [256, 1024])
def test_random_refusals_take_nothing_from_the_slots(slots, share):
    simulated = simulate(random_refusals(share), slots=slots, until=40)
    assert simulated.mean_in_flight(5, 40) / slots >= 0.97


def test_many_random_refusals_do_not_starve_it():
    simulated = simulate(random_refusals(0.2), until=90)
    assert simulated.mean_in_flight(10, 90) / 256 >= 0.7


def test_all_slots_are_busy_within_three_seconds():
    simulated = simulate(capacity(5000), slots=1024, until=4)
    assert simulated.mean_in_flight(3, 4) == 1024


@pytest.mark.parametrize(
    "kind", [FailureKind.RATE_LIMITED, FailureKind.SERVER, FailureKind.CONNECTION]
)
def test_a_minute_of_nothing_but_failures(kind):
    simulated = simulate(outage(20, 80, kind), until=90)
    before = simulated.replies_per_second(10, 20)
    probes = [event.at for event in simulated.events if event.kind == "sent" and event.was_probe]
    assert len(probes) <= 40
    # Those in flight when it began, and a second until it is sure.
    assert simulated.count("failed", 20) <= 2.5 * 256
    assert simulated.count("sent", 24, 80) <= 40
    asked_before_end = simulated.num_asked
    assert asked_before_end < 3 * len(simulated.events)
    assert simulated.replies_per_second(84, 85) >= before / 2
    assert simulated.throttle.state == "closed"


def test_a_server_that_hangs_is_found_out_and_found_again():
    hanging = outage(20, 140, FailureKind.TIMEOUT, refusal_seconds=20.0)
    simulated = simulate(hanging, until=160)
    assert simulated.count("sent", 62, 140) <= 40
    assert simulated.replies_per_second(146, 160) >= 128


@pytest.mark.parametrize("per_minute", [60, 600, 6000])
@pytest.mark.parametrize("seconds", [1.0, 10.0])
def test_what_headers_say_spares_refusals(per_minute, seconds):
    simulated = simulate(bucket_with_headers(per_minute, seconds=seconds), until=180)
    possible = min(per_minute / 60, 256 / seconds)
    assert simulated.replies_per_second(60, 180) / possible >= 0.95
    assert simulated.share_failed(0) <= 0.01


@pytest.mark.parametrize("per_minute", [60, 600])
def test_what_headers_say_of_a_fixed_window_spares_refusals(per_minute):
    simulated = simulate(window_with_headers(per_minute), until=240)
    assert simulated.replies_per_second(40, 220) / (per_minute / 60) >= 0.9
    # Before the first reply nothing is known.
    assert simulated.share_failed(2) <= 0.03


@pytest.mark.parametrize("per_minute", [3, 60, 600])
def test_no_minute_sees_more_requests_than_configured(per_minute):
    limits = Limits(requests_per_minute=per_minute)
    simulated = simulate(capacity(1000), until=200, limits=limits)
    sent = [event.at for event in simulated.events if event.kind == "sent"]
    most = max(bisect.bisect_left(sent, at + 60) - index for index, at in enumerate(sent))
    assert 0.95 * per_minute <= most <= per_minute


@pytest.mark.parametrize("estimated", [400, 4000])
def test_tokens_a_minute_are_used_up_whatever_was_estimated(estimated):
    limits = Limits(output_tokens_per_minute=600_000)
    simulated = simulate(
        capacity(1000), until=100, limits=limits, estimated=(10, estimated), used=(10, 400)
    )
    assert 0.93 <= simulated.replies_per_second(40, 100) * 60 * 400 / 600_000 <= 1
