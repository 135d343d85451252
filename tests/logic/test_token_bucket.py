from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.logic.token_bucket import Quota, TokenBucket
from distill.logic.types import Allowance


def spend(bucket, amounts, *, eager=True):
    """(time, amount) of each, spent as early as the bucket allows."""
    now, spent = 0.0, []
    for amount in amounts:
        while (wait := bucket.wait(now, amount)) > 0:
            now += wait
        bucket.take(amount)
        spent.append((now, amount))
    return spent


def most_in_a_minute(spent):
    return max(
        sum(amount for at, amount in spent if start <= at < start + 60) for start, _ in spent
    )


@given(st.integers(1, 200))
def test_no_minute_sees_more_requests_than_allowed(per_minute):
    spent = spend(TokenBucket(per_minute, now=0.0), [1] * 2 * per_minute)
    assert most_in_a_minute(spent) <= per_minute


@given(st.integers(1000, 10**6), st.lists(st.integers(1, 5000), min_size=1, max_size=100))
def test_no_minute_sees_more_tokens_than_allowed_but_for_one_large_request(per_minute, amounts):
    spent = spend(TokenBucket(per_minute, now=0.0), amounts)
    burst = per_minute / 30
    assert most_in_a_minute(spent) <= per_minute + max(0, max(amounts) - burst) + 1e-6


def test_a_minute_is_spent_evenly():
    spent = spend(TokenBucket(600, now=0.0), [1] * 600)
    assert 57 < spent[-1][0] < 61
    assert sum(at < 1 for at, _ in spent) <= 30


def test_what_was_not_used_comes_back_and_what_was_used_beyond_is_paid_off():
    bucket = TokenBucket(60_000, now=0.0)
    bucket.take(2000)
    assert bucket.wait(0.0, 1000) > 0
    bucket.take(-1500)
    assert bucket.wait(0.0, 1000) == 0
    bucket.take(30_000)
    assert bucket.wait(0.0, 1) > 20


def test_a_share_is_a_share():
    bucket = TokenBucket(600, now=0.0)
    bucket.share(4)
    assert most_in_a_minute(spend(bucket, [1] * 300)) <= 150


def quota(limit, remaining, reset, *, pending=0, workers=1):
    told = Quota(now=0.0)
    told.share(workers)
    allowance = Allowance(limit, remaining, reset)
    told.learn(allowance, now=0.0, sent_at=-1.0, pending=pending)
    return told


def test_no_header_no_limit():
    assert Quota(now=0.0).wait(5.0, 10**9) == 0


def test_a_steady_limit_is_waited_for_as_long_as_it_takes_to_refill():
    told = quota(600, 0, 60)
    assert told.wait(0.0, 1) == pytest.approx(0.1)
    assert told.wait(0.2, 1) == 0


def test_a_fixed_window_is_waited_for_until_its_end():
    told = quota(600, 0, 20)
    assert told.wait(0.0, 1) == 20
    assert told.wait(19.9, 1) == pytest.approx(0.1)
    assert told.wait(20.1, 600) == 0


def test_what_is_on_the_way_is_not_in_the_header_yet():
    assert quota(600, 10, 20, pending=9).wait(0.0, 1) == 0
    assert quota(600, 10, 20, pending=10).wait(0.0, 1) > 0


def test_other_workers_get_their_part_of_what_is_left():
    assert quota(600, 10, 20, workers=5).wait(0.0, 2) == 0
    assert quota(600, 10, 20, workers=5).wait(0.0, 3) > 0


def test_a_reply_that_was_overtaken_brings_old_news():
    told = Quota(now=0.0)
    told.learn(Allowance(600, 0, 20), now=2.0, sent_at=1.0, pending=0)
    told.learn(Allowance(600, 500, 20), now=2.1, sent_at=0.5, pending=0)
    assert told.wait(2.1, 1) > 0


def test_a_used_up_limit_without_further_headers_comes_back():
    told = quota(10, 0, 5)
    assert told.wait(5.0, 1) == 0
    told.take(10)
    assert 0 < told.wait(5.0, 1) <= 60
    assert told.wait(66.0, 1) == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf, -1.0, None])
def test_a_header_that_says_nothing_sensible_stops_nobody(bad):
    assert quota(600, bad, 20).wait(0.0, 1) == 0
    assert quota(bad, 0, 20).wait(0.0, 1) == 20
    assert 0 < quota(600, 0, bad).wait(0.0, 1) <= 1


def test_nobody_waits_for_more_than_a_minute_upon_a_header():
    assert quota(1000, 0, 86_400).wait(0.0, 1) <= 60


def test_a_request_beyond_the_whole_limit_leaves_when_it_is_whole():
    assert quota(600, 600, 20).wait(0.0, 10_000) == 0
