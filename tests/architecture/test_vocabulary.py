"""One vocabulary of rejection: every code can be shown, placed and switched."""

from __future__ import annotations

import pytest

from distill.logic.reasons import _LABELS, _STAGES, REVIEWER_REASONS, Reason, Stage
from distill.logic.rules import RULES, RulesConfig


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_label_and_a_stage_of_its_own(reason) -> None:
    assert reason.label
    assert [other for other in Reason if other.label == reason.label] == [reason]
    # `stage` falls back to review: that must be meant.
    assert (reason in _STAGES) != (reason in REVIEWER_REASONS)
    assert reason.stage in Stage


def test_no_label_and_no_stage_is_left_of_a_reason_that_went() -> None:
    assert set(_LABELS) == set(Reason)
    assert set(_STAGES) <= set(Reason)


def test_every_rule_has_a_reason_and_a_switch() -> None:
    codes = [rule.code for rule in RULES]
    assert len(set(codes)) == len(codes)
    for code in codes:
        assert RulesConfig.model_fields[code.value].annotation is bool
