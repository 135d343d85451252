"""Intervals against published examples, and at the edges where formulas break."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.logic.intervals import Estimate, mean, paired_difference, rate


@pytest.mark.parametrize(
    ("count", "n", "low", "high"),
    [
        # Newcombe (1998), Statistics in Medicine 17, 857-872, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_intervals_are_those_of_newcombes_table(count, n, low, high) -> None:
    found = rate(count, n)
    assert (found.value, found.count, found.n) == (count / n, count, n)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_a_rate_of_nothing_says_so() -> None:
    assert rate(0, 0) == Estimate(None, None, None, 0, count=0, why="nothing to count")


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 500), st.data())
def test_a_rate_lies_in_its_interval_and_its_mirror_image_mirrors_it(n, data) -> None:
    count = data.draw(st.integers(0, n))
    found, mirror = rate(count, n), rate(n - count, n)
    assert 0 <= found.low <= found.value + 1e-12
    assert found.value - 1e-12 <= found.high <= 1
    assert found.low == pytest.approx(1 - mirror.high)
    # None of n and n of n are no certainty.
    assert found.low < found.high


def test_a_mean_has_an_interval_where_its_values_differ() -> None:
    found = mean([0.2, 0.4, 0.6, 0.8] * 10)
    assert found.value == pytest.approx(0.5)
    # The normal approximation: 0.5 ± 1.96 · 0.2236 / √40.
    assert (found.low, found.high) == pytest.approx((0.431, 0.569), abs=0.006)
    assert found == mean([0.2, 0.4, 0.6, 0.8] * 10), "the same numbers, the same interval"


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([], "nothing to average"),
        ([0.5], "one value has no interval"),
        ([0.5, 0.5], "all 2 values are equal: no interval"),
    ],
)
def test_a_mean_without_an_interval_says_why(values, why) -> None:
    found = mean(values)
    assert (found.low, found.high, found.why) == (None, None, why)


def test_a_paired_difference_keeps_the_answers_to_a_sample_together() -> None:
    """Ten samples of forty are passed by the first alone: ± is that of the ten, not of both rates."""
    first = [True] * 30 + [False] * 10
    second = [True] * 20 + [False] * 20
    found = paired_difference(first, second)
    assert found.value == pytest.approx(0.25)
    # The normal approximation: 0.25 ± 1.96 · √(0.25 · 0.75 / 40).
    assert (found.low, found.high) == pytest.approx((0.116, 0.384), abs=0.02)
    assert paired_difference(second, first).value == pytest.approx(-0.25)


def test_agreement_on_every_sample_is_no_certainty() -> None:
    same = paired_difference([False] * 20, [False] * 20)
    assert same.value == 0
    assert (same.low, same.high) == pytest.approx((-0.1611, 0.1611), abs=5e-5)
    better = paired_difference([True] * 20, [False] * 20)
    assert (better.low, better.value, better.high) == pytest.approx((0.8389, 1, 1), abs=5e-5)
    worse = paired_difference([False] * 20, [True] * 20)
    assert (worse.low, worse.high) == pytest.approx((-1, -0.8389), abs=5e-5)
    assert same.why
    assert better.why
    assert paired_difference([], []).why == "no sample that both answered"
