from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.logic.errors import FailureKind
from distill.logic.limits import Limits
from distill.logic.throttle import Throttle
from distill.logic.types import Allowance, RateLimits

KINDS_OF_A_LIVING_PROVIDER = [
    FailureKind.REFUSED,
    FailureKind.BAD_REQUEST,
    FailureKind.CONTEXT_TOO_LONG,
    FailureKind.EMPTY,
    FailureKind.BROKEN_ENVELOPE,
]
KINDS_OF_A_DEAD_ONE = [FailureKind.RATE_LIMITED, FailureKind.SERVER, FailureKind.CONNECTION]


def admit(throttle, now, tokens=(100, 100)):
    return throttle.admit(now, input_tokens=tokens[0], output_tokens=tokens[1])


def reply(throttle, now, sent_at, rate_limits=None):
    throttle.on_reply(
        now,
        sent_at=sent_at,
        input_tokens=100,
        output_tokens=100,
        estimated=(100, 100),
        rate_limits=rate_limits,
    )


def fill(throttle, now):
    """How many leave at once."""
    num_sent = 0
    while admit(throttle, now) is None:
        num_sent += 1
    return num_sent


def answer_all(throttle, *, since, seconds=1.0):
    """Send what may leave and answer it, round after round; yields the time of each round's end."""
    now = since
    while True:
        num_sent = fill(throttle, now)
        for _ in range(num_sent):
            reply(throttle, now + seconds, now)
        now += seconds
        yield now


def open_circuit(throttle, now, kind=FailureKind.RATE_LIMITED):
    for _ in range(100):
        if throttle.state != "closed":
            return now
        for _ in range(fill(throttle, now)):
            throttle.on_failure(now + 0.01, sent_at=now, kind=kind)
        now += 0.1
    raise AssertionError("The circuit stays closed.")


def test_the_room_is_what_leaves():
    throttle = Throttle(ceiling=256, now=0.0)
    room = throttle.room(0.0)
    assert room == fill(throttle, 0.0) == throttle.in_flight == 32
    assert throttle.room(0.0) == 0


def test_it_ramps_up_within_three_seconds():
    throttle = Throttle(ceiling=1024, now=0.0)
    sent: list[float] = []
    for step in range(300):
        now = step / 100
        while sent and sent[0] <= now - 1:
            reply(throttle, now, sent.pop(0))
        sent.extend([now] * fill(throttle, now))
    assert throttle.limit == throttle.in_flight == 1024


def test_a_remembered_limit_is_reached_soon_and_passed_slowly():
    throttle = Throttle(ceiling=1024, remembered=20, now=0.0)
    rounds = answer_all(throttle, since=0.0)
    limits = {next(rounds): throttle.limit for _ in range(40)}
    assert limits[1.0] <= limits[3.0] <= 22
    assert limits[3.0] >= 19
    assert 20 < limits[20.0] < 40


def test_it_remembers_the_limit_of_the_last_good_reply():
    throttle = Throttle(ceiling=256, now=0.0)
    assert throttle.remembered is None
    rounds = answer_all(throttle, since=0.0)
    now = [next(rounds) for _ in range(5)][-1]
    open_circuit(throttle, now)
    assert throttle.limit == 1
    assert throttle.remembered == 256


@pytest.mark.parametrize("kind", KINDS_OF_A_DEAD_ONE)
def test_nothing_but_refusals_opens_the_circuit_and_one_good_probe_closes_it(kind):
    throttle = Throttle(ceiling=64, now=0.0)
    rounds = answer_all(throttle, since=0.0)
    now = open_circuit(throttle, [next(rounds) for _ in range(5)][-1], kind)
    assert throttle.room(now) == 0
    now += admit(throttle, now)
    assert throttle.room(now) == 1
    assert admit(throttle, now) is None
    probing = [throttle.is_probing]
    assert throttle.room(now) == 0
    assert admit(throttle, now) > 0
    probing.append(throttle.is_probing)
    reply(throttle, now + 1, now)
    assert throttle.state == "closed"
    assert throttle.room(now + 1) >= 30
    admit(throttle, now + 1)
    assert [*probing, throttle.is_probing] == [True, False, False]


@pytest.mark.parametrize("kind", KINDS_OF_A_LIVING_PROVIDER)
def test_a_refused_or_bad_request_is_a_sign_of_life(kind):
    throttle = Throttle(ceiling=8, now=0.0)
    for number in range(200):
        assert admit(throttle, number) is None
        throttle.on_failure(number + 0.5, sent_at=number, kind=kind)
    assert throttle.state == "closed"
    assert throttle.limit == 8


@pytest.mark.parametrize("kind", KINDS_OF_A_LIVING_PROVIDER)
def test_a_probe_that_the_provider_dealt_with_closes_the_circuit(kind):
    throttle = Throttle(ceiling=64, now=0.0)
    now = open_circuit(throttle, 0.0) + 5
    assert admit(throttle, now) is None
    throttle.on_failure(now + 1, sent_at=now, kind=kind)
    assert throttle.state == "closed"


def test_samples_that_hang_among_good_ones_never_open_it():
    throttle = Throttle(ceiling=64, now=0.0)
    for number in range(3000):
        now = number / 10
        assert admit(throttle, now) is None
        if number % 10 == 0:
            if number >= 300:
                throttle.on_failure(now, sent_at=now - 30, kind=FailureKind.TIMEOUT)
        else:
            reply(throttle, now + 0.05, now)
        assert throttle.state == "closed"


def test_the_last_samples_of_a_run_that_all_hang_do_not_open_it():
    throttle = Throttle(ceiling=64, now=0.0)
    rounds = answer_all(throttle, since=0.0)
    now = [next(rounds) for _ in range(5)][-1]
    for _ in range(throttle.in_flight):
        throttle.on_cancelled(now)
    for attempt in range(5):
        sent_at = now + 40 * attempt
        for _ in range(9):
            assert admit(throttle, sent_at) is None
        for _ in range(9):
            throttle.on_failure(sent_at + 30, sent_at=sent_at, kind=FailureKind.TIMEOUT)
    assert throttle.state == "closed"


def test_a_few_refusals_among_many_replies_lower_nothing():
    throttle = Throttle(ceiling=256, now=0.0)
    rounds = answer_all(throttle, since=0.0)
    now = [next(rounds) for _ in range(5)][-1]
    num_sent = fill(throttle, now)
    for number in range(num_sent):
        if number % 20:
            reply(throttle, now + 1, now)
        else:
            throttle.on_failure(now + 0.1, sent_at=now, kind=FailureKind.RATE_LIMITED)
    for _ in range(5):
        next(rounds)
    assert throttle.limit == 256


def test_the_limit_falls_by_the_share_that_was_refused_and_once_for_all_of_them():
    throttle = Throttle(ceiling=200, remembered=None, now=0.0)
    rounds = answer_all(throttle, since=0.0)
    now = [next(rounds) for _ in range(5)][-1]
    for at in (now, now + 1):
        num_sent = fill(throttle, at)
        assert num_sent >= 150
        for number in range(num_sent):
            if number % 4:
                reply(throttle, at + 1, at)
            else:
                throttle.on_failure(at + 1, sent_at=at, kind=FailureKind.RATE_LIMITED)
    throttle.room(now + 2.01)
    fallen = throttle.limit
    assert 130 <= fallen <= 180
    # What was sent before the limit fell says nothing new.
    for _ in range(fill(throttle, now + 2.02)):
        throttle.on_cancelled(now + 2.03)
    throttle.room(now + 2.9)
    assert throttle.limit >= fallen


def test_a_refused_request_keeps_its_place_until_a_reply_would_have_come():
    throttle = Throttle(ceiling=32, remembered=20, now=0.0)
    rounds = answer_all(throttle, since=0.0)
    now = [next(rounds) for _ in range(3)][-1]
    num_sent = fill(throttle, now)
    for _ in range(5):
        throttle.on_failure(now + 0.01, sent_at=now, kind=FailureKind.RATE_LIMITED)
    assert throttle.in_flight == num_sent - 5
    assert throttle.room(now + 0.02) == 0
    for _ in range(num_sent - 5):
        reply(throttle, now + 1, now)
    assert throttle.room(now + 1.01) >= num_sent - 10


def test_requests_a_minute_are_kept_to():
    throttle = Throttle(ceiling=256, limits=Limits(requests_per_minute=60), now=0.0)
    assert fill(throttle, 0.0) == 2
    assert throttle.room(0.0) == 0
    wait = admit(throttle, 0.0)
    assert wait == pytest.approx(1.0, rel=0.1)
    assert throttle.room(wait) == 1


@pytest.mark.parametrize("name", ["input_tokens_per_minute", "output_tokens_per_minute"])
def test_tokens_a_minute_are_kept_to_and_corrected_by_usage(name):
    throttle = Throttle(ceiling=256, limits=Limits(**{name: 60_000}), now=0.0)
    assert admit(throttle, 0.0, (2000, 2000)) is None
    assert admit(throttle, 0.0, (2000, 2000)) > 1
    throttle.on_reply(0.1, sent_at=0.0, input_tokens=10, output_tokens=10, estimated=(2000, 2000))
    assert admit(throttle, 0.1, (2000, 2000)) is None


def test_a_share_of_the_limits():
    throttle = Throttle(ceiling=256, limits=Limits(requests_per_minute=600), now=0.0)
    throttle.share(4)
    assert fill(throttle, 0.0) == 5


def test_what_headers_say_is_waited_for():
    throttle = Throttle(ceiling=256, now=0.0)
    admit(throttle, 0.0)
    told = RateLimits(requests=Allowance(limit=600, remaining=2, reset_seconds=20))
    reply(throttle, 1.0, 0.0, told)
    assert fill(throttle, 1.0) == 2
    assert admit(throttle, 1.0) == pytest.approx(20)
    assert throttle.room(1.0) == 0


def test_another_number_of_slots():
    throttle = Throttle(ceiling=8, now=0.0)
    assert fill(throttle, 0.0) == 8
    throttle.resize(2)
    assert throttle.limit == 2
    assert throttle.room(0.0) == 0
    for _ in range(8):
        reply(throttle, 1.0, 0.0)
    throttle.resize(512)
    rounds = answer_all(throttle, since=1.0)
    for _ in range(10):
        next(rounds)
    assert throttle.limit == 512


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["admit", "reply", "fail", "cancel", "room", "resize", "share"]),
        st.sampled_from([0.0, 0.001, 0.05, 0.7, 5.0, 100.0]),
        st.integers(0, 10**6),
    ),
    max_size=150,
)
ALLOWANCES = st.builds(
    Allowance, *[st.none() | st.floats(-10, 1e6) | st.sampled_from([math.inf, math.nan])] * 3
)


@given(
    st.integers(1, 40),
    st.none() | st.floats(0.1, 100),
    STEPS,
    st.booleans(),
    st.builds(RateLimits, ALLOWANCES, ALLOWANCES, ALLOWANCES),
)
def test_whatever_happens_nothing_leaves_beyond_limit_and_ceiling(
    ceiling, remembered, steps, has_limits, told
):
    limits = (
        Limits(requests_per_minute=500, output_tokens_per_minute=10_000) if has_limits else None
    )
    throttle = Throttle(ceiling=ceiling, limits=limits, remembered=remembered, now=0.0)
    now, sent = 0.0, []
    for step, seconds, number in steps:
        now += seconds
        if step == "admit":
            before = throttle.in_flight
            wait = admit(throttle, now, (number % 5000, number % 3000))
            if wait is None:
                sent.append(now)
                assert throttle.in_flight <= ceiling
                assert throttle.is_probing or throttle.in_flight <= throttle.limit
            else:
                assert 0 < wait < math.inf
                assert throttle.in_flight == before
        elif step == "resize":
            ceiling = 1 + number % 40
            throttle.resize(ceiling)
        elif step == "share":
            throttle.share(1 + number % 4)
        elif step == "room":
            assert 0 <= throttle.room(now) <= ceiling
        elif sent:
            sent_at = sent.pop(number % len(sent))
            if step == "reply":
                reply(throttle, now, sent_at, told if number % 2 else None)
            elif step == "fail":
                kind = list(FailureKind)[number % len(FailureKind)]
                throttle.on_failure(now, sent_at=sent_at, kind=kind, rate_limits=told)
            else:
                throttle.on_cancelled(now)
        assert throttle.in_flight == len(sent)
        assert 1 <= throttle.limit <= ceiling


@given(
    st.integers(1, 64),
    st.lists(st.tuples(st.sampled_from(FailureKind), st.floats(0, 3)), max_size=100),
)
def test_after_any_failures_good_replies_bring_it_back_to_the_ceiling(ceiling, failures):
    throttle = Throttle(ceiling=ceiling, now=0.0)
    now = 0.0
    for kind, seconds in failures:
        for _ in range(fill(throttle, now)):
            throttle.on_failure(now + seconds, sent_at=now, kind=kind)
        now += seconds + 0.1
    rounds = answer_all(throttle, since=now)
    for _ in range(250):
        next(rounds)
    assert throttle.state == "closed"
    assert throttle.limit == ceiling
