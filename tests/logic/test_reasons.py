from __future__ import annotations

import pytest

from distill.logic.reasons import REVIEWER_REASONS, Reason, Stage


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_label_and_a_stage(reason):
    assert reason.label[0].isupper()
    assert reason.stage in Stage


def test_what_a_reviewer_may_give_belongs_to_the_review_and_has_a_digit():
    assert len(REVIEWER_REASONS) == 9
    assert {reason for reason in Reason if reason.stage is Stage.REVIEW} == set(REVIEWER_REASONS)
