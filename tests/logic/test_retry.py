from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.logic.errors import FailureKind
from distill.logic.retry import BROKEN, RetryPolicy, next_delay

POLICY = RetryPolicy()
RATE, SERVER = FailureKind.RATE_LIMITED, FailureKind.SERVER


def delay(kind=SERVER, failures=1, retry_after=None, jitter=1.0, waited_seconds=None):
    return next_delay(
        POLICY,
        kind=kind,
        failures=failures,
        retry_after=retry_after,
        jitter=jitter,
        waited_seconds=waited_seconds,
    )


@pytest.mark.parametrize("kind", [kind for kind in FailureKind if not kind.is_retryable])
def test_what_cannot_succeed_is_not_sent_again(kind):
    assert delay(kind) is None


def test_the_wait_doubles_up_to_the_cap():
    waits = [
        next_delay(
            POLICY, kind=RATE, failures=failures, retry_after=None, jitter=1, waited_seconds=0
        )
        for failures in (1, 2, 3, 6, 7, 100_000)
    ]
    assert waits == [1, 2, 4, 32, 60, 60]


def test_jitter_spreads_the_wait_over_the_whole_interval():
    assert [delay(failures=3, jitter=jitter) for jitter in (0.0, 0.5, 1.0)] == [0, 2, 4]


def test_the_fifth_failure_is_the_last():
    assert delay(failures=4) is not None
    assert delay(failures=5) is None


@pytest.mark.parametrize("kind", BROKEN)
def test_a_reply_of_no_use_is_bought_again_as_often_as_the_recipe_allows(kind):
    assert [delay(kind, failures=count) is not None for count in (1, 2, 3, 4)] == [True] * 3 + [
        False
    ]


@given(
    st.sampled_from(FailureKind),
    st.integers(1, 30),
    st.integers(1, 20),
    st.integers(0, 20),
)
def test_each_sort_of_failure_has_a_limit_of_its_own(kind, failures, attempts, broken):
    policy = RetryPolicy(max_attempts=attempts, max_broken=broken)
    again = next_delay(
        policy, kind=kind, failures=failures, retry_after=None, jitter=0, waited_seconds=0
    )
    most = {RATE: 10**9}.get(kind, broken if kind in BROKEN else attempts - 1)
    assert (again is not None) == (kind.is_retryable and failures <= most)


def test_a_rate_limit_uses_up_no_attempt():
    assert delay(RATE, failures=10) == 60


def test_waiting_for_a_rate_limit_ends():
    assert delay(RATE, waited_seconds=899) == 1
    assert delay(RATE, waited_seconds=900) is None
    assert delay(RATE, failures=50) is None
    assert delay(RATE, failures=50, waited_seconds=10) == 60


@pytest.mark.parametrize("kind", [RATE, SERVER])
def test_the_provider_is_never_undercut(kind):
    assert delay(kind, retry_after=30, jitter=0) == 30
    assert delay(kind, retry_after=30, jitter=1) == 31
    assert delay(kind, retry_after=-5, jitter=0) == 0


@pytest.mark.parametrize("retry_after", [901.0, float("inf"), float("nan")])
@pytest.mark.parametrize("kind", [RATE, SERVER])
def test_nobody_waits_for_longer_than_the_policy_allows(kind, retry_after):
    assert delay(kind, retry_after=retry_after) is None


@given(
    st.sampled_from(FailureKind),
    st.integers(0, 10**6),
    st.none() | st.floats(0, 1e6),
    st.floats(0, 1),
)
def test_a_delay_is_never_negative_nor_below_what_was_asked(kind, failures, retry_after, jitter):
    found = next_delay(
        POLICY,
        kind=kind,
        failures=failures,
        retry_after=retry_after,
        jitter=jitter,
        waited_seconds=0,
    )
    assert found is None or found >= (retry_after or 0)
