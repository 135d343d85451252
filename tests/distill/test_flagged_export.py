"""A flagged completion is in no export, under no config, until a person accepts it."""

from __future__ import annotations

import uuid
from array import array

import pytest

from distill.logic.reasons import Reason
from distill.models import CompletionState, Export
from distill.queries.eligible import eligible_ids, rejected_ids
from distill.queries.preference_rows import read_preferences
from distill.queries.sft_rows import SftRows
from distill.services.decide import record_decision
from distill.services.undo import undo_decision
from tests.builders import make_completion, make_dataset, make_sample, make_user

pytestmark = pytest.mark.django_db


def flagged(sample, state: str, **fields):
    completion = make_completion(sample, **fields)
    CompletionState.objects.filter(pk=completion.pk).update(state=state, flags=[Reason.HAZARD])
    return completion


@pytest.mark.parametrize("policy", Export.Policy.values)
def test_it_enters_with_a_persons_accept_and_leaves_with_the_undo(policy) -> None:
    dataset, reviewer = make_dataset(), make_user("reviewer")
    completion = flagged(make_sample(dataset), "passed")
    assert completion.pk not in eligible_ids(dataset=dataset, policy=policy)
    decision = record_decision(
        completion_id=completion.pk, reviewer=reviewer, kind="accept", client_id=uuid.uuid4()
    )
    if policy != Export.Policy.GOLD:
        assert completion.pk in eligible_ids(dataset=dataset, policy=policy)
    undo_decision(decision_id=decision.pk, reviewer=reviewer, client_id=uuid.uuid4())
    assert completion.pk not in eligible_ids(dataset=dataset, policy=policy)


def test_rejected_ones_are_not_written_as_rejected() -> None:
    dataset = make_dataset()
    completion = flagged(make_sample(dataset), "rejected")
    plain = make_completion(make_sample(dataset))
    CompletionState.objects.filter(pk=plain.pk).update(state="rejected")
    assert list(rejected_ids(dataset=dataset)) == [plain.pk]
    assert completion.pk not in rejected_ids(dataset=dataset)


def test_a_rejected_answer_of_a_student_is_no_side_of_a_preference() -> None:
    sample = make_sample(make_dataset())
    answer = make_completion(sample, fields={"hypothesis": "A", "methodology": "B"})
    CompletionState.objects.filter(pk=answer.pk).update(
        state="rejected", is_open=False, dataset=None
    )
    chosen = make_completion(sample, attempt=2)
    assert list(read_preferences(SftRows(), array("q", [chosen.pk]))) == []
    CompletionState.objects.filter(pk=answer.pk).update(dataset=sample.dataset)
    assert len(list(read_preferences(SftRows(), array("q", [chosen.pk])))) == 1


def test_an_earlier_attempt_with_a_flag_is_no_side_of_a_preference() -> None:
    sample = make_sample(make_dataset())
    parent = flagged(
        sample, "rejected", fields={"hypothesis": "A toxin.", "methodology": "Make it."}
    )
    CompletionState.objects.filter(pk=parent.pk).update(is_open=False)
    chosen = make_completion(
        sample,
        parent=parent,
        attempt=2,
        fields={"hypothesis": "A leaf.", "methodology": "Weigh it."},
    )
    ids = eligible_ids(dataset=sample.dataset, policy=Export.Policy.GATE)
    assert list(ids) == [chosen.pk]
    assert list(read_preferences(SftRows(), ids)) == []
    CompletionState.objects.filter(pk=parent.pk).update(flags=[])
    assert len(list(read_preferences(SftRows(), ids))) == 1
