"""The gate's waterfall: steps add up, each number finds its completions, odd yields are called out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.logic.gate import GateConfig
from distill.logic.gate_waterfall import gate_steps, rows_of, yield_alert
from distill.logic.reasons import Reason
from distill.logic.what_if import LOOKED_AT, Settings, decide_all
from tests.logic.test_what_if import CITED, PANEL, completions, frame_of, judged

CONFIG = CITED.model_copy(update={"min_tokens": 0})


def decided(rows: list[dict[str, Any]], **gate: float) -> Any:
    return decide_all(frame_of(rows), Settings(CONFIG, GateConfig(**gate), PANEL))


@given(rows=st.lists(completions(), min_size=1, max_size=30))
def test_steps_add_up_and_every_number_finds_its_completions(rows):
    frame = decided(rows, min_mean=0.5)
    steps = gate_steps(frame)
    left = len(rows)
    for step in steps:
        left -= step.lost
        assert step.count == left
        assert len(rows_of(frame, step.show)) == step.count
        if step.lost:
            assert len(rows_of(frame, step.lost_show)) == step.lost
        if step.show.startswith("after:"):
            assert len(rows_of(frame, step.show.replace("after", "has"))) == step.hits


@pytest.mark.parametrize("show", ["", "x", "has:x", "y:citation", "after:other"])
def test_an_unknown_number_is_refused(show):
    with pytest.raises((KeyError, ValueError)):
        rows_of(decided([judged(0.9)]), show)


def test_a_low_yield_names_what_takes_most():
    rows = [judged(0.1) for _ in range(19)] + [judged(0.9)]
    alert = yield_alert(gate_steps(decided(rows)))
    assert alert
    assert Reason.LOW_SCORE.label in alert.text
    assert "19 of 20" in alert.text


def test_a_low_yield_says_where_nobody_has_judged():
    rows = [judged(0.9) | {"judges": {}} for _ in range(20)] + [judged(0.9)]
    alert = yield_alert(gate_steps(decided(rows)))
    assert alert
    assert "20 of 21 have not been judged" in alert.text


def test_a_high_yield_never_blames_what_comes_after_the_gate():
    rows = [judged(0.1) for _ in range(3)] + [judged(0.9) for _ in range(97)]
    alert = yield_alert(gate_steps(decided(rows)))
    assert alert
    assert "Accepted" not in alert.text


def test_a_gate_that_rejects_none_is_called_out():
    alert = yield_alert(gate_steps(decided([judged(0.9) for _ in range(20)])))
    assert alert
    assert "hardly tells good from bad" in alert.text


def test_an_ordinary_yield_is_no_alarm():
    rows = [judged(0.9) for _ in range(5)] + [judged(0.1) for _ in range(5)]
    assert yield_alert(gate_steps(decided(rows))) is None


def test_nothing_answered_is_no_alarm():
    assert yield_alert(gate_steps(decided([judged(0.9)]).clear())) is None


def test_every_reason_that_is_looked_at_has_a_column():
    frame = decided([judged(0.9)])
    assert all(code.value in frame.columns for code in LOOKED_AT)
