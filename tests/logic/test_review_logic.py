"""Keys, panes, leases and labels, decided from values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from distill.logic.reasons import REVIEWER_REASONS
from review.logic.keys import KEYS, REASON_KEYS, key_map
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
    assert sent["actions"] == {"a": "accept", "x": "reject", "s": "skip", "u": "undo", "?": "help"}
    assert sent["reasons"]["1"] == "not_falsifiable"


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
