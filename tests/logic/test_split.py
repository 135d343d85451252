from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.logic.split import source_group, split_of


def test_the_shares_are_85_5_and_10_percent():
    counts = Counter(split_of(f"source {number}") for number in range(20_000))
    assert counts["train"] == pytest.approx(17_000, rel=0.02)
    assert counts["validation"] == pytest.approx(1_000, rel=0.1)
    assert counts["test"] == pytest.approx(2_000, rel=0.1)


def test_splits_never_change_between_versions():
    keys = [f"paper{number}" for number in range(12)]
    assert [split_of(key) for key in keys] == [
        "train",
        "train",
        "train",
        "train",
        "train",
        "validation",
        "train",
        "test",
        "train",
        "train",
        "train",
        "train",
    ]


@given(st.text() | st.just("\ud800"))
def test_every_key_has_one_split_and_one_group(text):
    assert split_of(text) in ("train", "validation", "test")
    assert len(source_group(text)) <= max(64, 0)
    assert source_group(source_group(text)) == source_group(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Cell Growth, 2nd ed.", "cell growth 2nd ed"),
        ("STRASSE", "straße"),
        ("ﬁbre\n\nlength", "fibre length"),
        ("x" * 100, "X " * 100),
    ],
)
def test_the_same_source_spelt_differently_is_one_group(one, other):
    assert source_group(one) == source_group(other)


@pytest.mark.parametrize(("one", "other"), [("a1", "a2"), ("--", "++"), ("", "-"), ("é", "e")])
def test_different_sources_are_different_groups(one, other):
    assert source_group(one) != source_group(other)


def test_a_long_text_is_known_by_its_hash():
    assert source_group("ab" * 33) == source_group("AB " * 33)
    assert len(source_group("ab" * 33)) == 64
    assert source_group("ab" * 32) == "ab" * 32
