"""Held-out runs of words in training text: found by hashes, shown by words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from distill.logic.contamination import HeldOutRuns, common_words, find_suspects, locate
from distill.logic.screening import ScreeningConfig

NUMBERS = [f"n{number}" for number in range(30)]


def numbers(first: int, last: int) -> str:
    return " ".join(NUMBERS[first:last])


def held(*texts: str) -> HeldOutRuns:
    runs = HeldOutRuns(8)
    for text in texts:
        runs.add([text])
    return runs


@pytest.mark.parametrize(
    ("text", "is_suspect", "has_longer"),
    [
        (f"x {numbers(3, 10)} y", False, False),
        (f"x {numbers(3, 11)} y", True, False),
        (f"x {numbers(3, 15)} y", True, False),
        (f"x {numbers(3, 16)} y", True, True),
        (numbers(3, 16).upper().replace(" ", ", "), True, True),
        (numbers(0, 5), False, False),
        ("", False, False),
    ],
)
def test_runs_of_eight_are_found_and_those_of_thirteen_told_apart(text, is_suspect, has_longer):
    found = find_suspects(["other", text], held(numbers(0, 30)), drop_words=13)
    assert [one.text for one in found] == [1] * is_suspect
    assert [bool(one.longer) for one in found] == [has_longer] * is_suspect


def test_runs_of_two_texts_next_to_each_other_are_no_longer_one():
    runs = held(numbers(0, 10), "z " + numbers(10, 20))
    (found,) = find_suspects([numbers(0, 20)], runs, drop_words=13)
    assert found.longer == ()


def test_nothing_is_held_out_of_nothing():
    assert find_suspects([numbers(0, 20)], held(), drop_words=13) == []


def test_a_run_is_located_with_its_words():
    text = f"before {numbers(0, 20)} after"
    (found,) = find_suspects([numbers(2, 20)], held(text), drop_words=13)
    wanted = np.array(sorted(found.longer), dtype=np.uint64)
    places = dict(locate(["none", text, text], ["a", "b", "c"], wanted, 13))
    assert set(places) == set(found.longer)
    assert places[found.longer[0]].held_out == "b"
    assert places[found.longer[0]].words.startswith("n2 n3")
    assert common_words(numbers(2, 20), places[found.longer[0]].words) == (numbers(2, 20), 18)


TEXTS = st.lists(st.sampled_from("abc"), max_size=30).map(" ".join)


@settings(max_examples=80, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=4), TEXTS)
def test_a_suspect_is_whoever_shares_a_run(held_out, text):
    def runs(words: list[str]) -> set[tuple[str, ...]]:
        return {tuple(words[start : start + 8]) for start in range(len(words) - 7)}

    shared = runs(text.split()) & set().union(*(runs(one.split()) for one in held_out))
    assert bool(find_suspects([text], held(*held_out), drop_words=13)) == bool(shared)


def test_settings_that_contradict_each_other_are_refused():
    with pytest.raises(ValidationError, match="flag_words is 13"):
        ScreeningConfig(flag_words=13, drop_words=8)
    with pytest.raises(ValidationError, match=r"flag_above is 0\.9"):
        ScreeningConfig(flag_above=0.9)
    assert ScreeningConfig(flag_above=0.7).lowest_similarity == 0.7
