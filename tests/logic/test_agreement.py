"""Agreement against worked examples that were published, and what must hold of any."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from review.logic.agreement import Verdict, cohens_kappa, measure, measure_pairs


def verdicts(*raters: str) -> list[Verdict]:
    """A string for each rater: a sign for each completion, 1 yes, 0 no, a dot for none."""
    return [
        Verdict(place, rater, sign == "1")
        for rater, signs in enumerate(raters)
        for place, sign in enumerate(signs)
        if sign != "."
    ]


def measured(*raters: str):
    found = measure(verdicts(*raters), chance=np.random.default_rng(0), resamples=200)
    assert found
    return found


def test_krippendorffs_example_of_binary_data():
    """Krippendorff (2011), section A: two observers, ten units, α = 0.095."""
    found = measured("0100000010", "1110010000")
    assert found.alpha.value == pytest.approx(0.095, abs=0.001)
    assert found.raw.value == pytest.approx(0.6)


def test_cohens_kappa_of_a_known_table():
    """20 both yes, 5 and 10 apart, 15 both no: κ = 0.4 (a textbook's and Wikipedia's example)."""
    assert cohens_kappa(20, 5, 10, 15) == pytest.approx(0.4)
    assert cohens_kappa(50, 0, 0, 0) is None


def test_where_nearly_all_is_accepted_kappa_falls_and_ac1_does_not():
    """Gwet (2008), the paradox: 118 both yes, 5 and 2 apart, none both no: AC1 = 0.94, κ < 0."""
    first = "1" * 118 + "1" * 5 + "0" * 2
    second = "1" * 118 + "0" * 5 + "1" * 2
    found = measured(first, second)
    assert found.raw.value == pytest.approx(0.944)
    assert found.ac1.value == pytest.approx(0.9408, abs=0.001)
    assert found.alpha.value is not None
    assert found.alpha.value < 0
    (pair,) = measure_pairs(verdicts(first, second))
    assert pair.kappa == pytest.approx(-0.0234, abs=0.001)


def test_a_missing_rating_leaves_the_others():
    found = measured("1100", "11.0", ".101")
    assert (found.num_completions, found.num_verdicts) == (4, 10)


def test_one_rater_alone_agrees_with_nobody():
    assert measure(verdicts("1101"), chance=np.random.default_rng(0)) is None
    assert measure_pairs(verdicts("11..", "..11")) == []


def test_without_variation_alpha_cannot_be_known():
    found = measured("1111", "1111")
    assert (found.raw.value, found.ac1.value, found.alpha.value) == (1, 1, None)


SIGNS = st.lists(st.sampled_from("01."), min_size=8, max_size=8).map("".join)


@given(st.lists(SIGNS, min_size=2, max_size=4))
def test_whoever_is_named_first_changes_nothing_and_bounds_hold(raters):
    chance = np.random.default_rng(1)
    found = measure(verdicts(*raters), chance=chance, resamples=50)
    again = measure(verdicts(*reversed(raters)), chance=np.random.default_rng(1), resamples=50)
    assert (found is None) == (again is None)
    if found is None or again is None:
        return
    assert found.raw.value == pytest.approx(again.raw.value)
    assert found.alpha.value == pytest.approx(again.alpha.value)
    for one in (found.raw, found.alpha, found.ac1):
        if one.value is not None and one.low is not None and one.high is not None:
            assert one.value <= 1 + 1e-9
            assert one.low <= one.high


@given(st.lists(st.sampled_from("01"), min_size=4, max_size=12).map("".join))
def test_who_says_the_same_agrees_wholly(signs):
    found = measured(signs, signs)
    assert found.raw.value == found.ac1.value == 1
    assert found.alpha.value in (None, pytest.approx(1))


def test_the_interval_holds_the_value_of_many():
    chance = np.random.default_rng(3)
    truth = chance.random(400) < 0.7
    raters = [
        "".join("1" if one != (chance.random() < 0.15) else "0" for one in truth) for _ in "ab"
    ]
    found = measured(*raters)
    for one in (found.raw, found.alpha, found.ac1):
        assert one.low is not None
        assert one.high is not None
        assert one.low < (one.value or 0) < one.high
