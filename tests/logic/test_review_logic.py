"""Keys, panes, leases and labels, decided from values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.logic.errors import InputError
from distill.logic.reasons import REVIEWER_REASONS
from review.logic.keys import ALLOWED, KEYS, REASON_KEYS, check_keys, key_map, keys_of, reason_keys
from review.logic.leases import seconds_left
from review.logic.panes import Pane, panes


def test_every_key_is_used_once():
    keys = [key.key for key in KEYS] + [key.key for key in REASON_KEYS]
    assert len(keys) == len(set(keys))
    assert all(len(key) == 1 for key in keys)


def test_the_digits_give_the_reviewers_reasons_in_order():
    assert [key.key for key in REASON_KEYS] == list("123456789")
    assert [key.reason for key in REASON_KEYS] == list(REVIEWER_REASONS)


def test_the_script_gets_the_whole_registry():
    sent = key_map()
    assert sent["actions"] == {key.key: key.action for key in KEYS}
    assert sent["reasons"]["1"] == "not_falsifiable"
    off = key_map(is_on=False)
    assert (off["actions"], off["reasons"]) == ({}, {})


def test_a_queue_may_offer_fewer_reasons_in_its_own_order():
    keys = reason_keys(["unsafe", "trivial"])
    assert [(key.key, key.reason) for key in keys] == [("1", "unsafe"), ("2", "trivial")]


def test_only_keys_that_differ_are_kept():
    assert check_keys({"accept": "y", "skip": "s"}) == {"accept": "y"}
    assert {key.action: key.key for key in keys_of({"accept": "y"})}["accept"] == "y"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"explode": "y"}, "no action"),
        ({"accept": "1"}, "choose one of"),
        ({"accept": "<script>"}, "choose one of"),
        ({"accept": "x"}, "cannot both be x"),
        ({"tie": "l"}, "cannot both be l"),
    ],
)
def test_what_cannot_be_a_key_is_refused(changed, said):
    with pytest.raises(InputError, match=said):
        check_keys(changed)


@given(st.dictionaries(st.sampled_from([key.action for key in KEYS]), st.sampled_from(ALLOWED)))
def test_whatever_is_taken_leaves_every_action_a_key_of_its_own(changed):
    try:
        kept = check_keys(changed)
    except InputError:
        return
    for is_pairwise in (False, True):
        keys = [key.key for key in keys_of(kept, is_pairwise=is_pairwise)]
        assert len(keys) == len(set(keys))


def test_hypothesis_and_methodology_come_first():
    fields = {"confounders": "C", "methodology": "M", "hypothesis": "H"}
    assert panes(fields, text="") == [
        Pane("Hypothesis", "H", "hypothesis"),
        Pane("Methodology", "M", "methodology"),
        Pane("Confounders", "C", "confounders"),
    ]


def test_an_answer_without_fields_is_shown_whole():
    assert panes({}, text="as it came") == [Pane("Answer", "as it came")]


def test_a_lease_never_has_less_than_no_time_left():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert seconds_left(until=now + timedelta(seconds=61.9), now=now) == 61
    assert seconds_left(until=now - timedelta(hours=1), now=now) == 0
    assert seconds_left(until=None, now=now) == 0
