"""Decisions are append-only, labels follow from them."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from distill.logic.errors import ConflictError, InputError
from distill.logic.reasons import Reason
from distill.models import Completion, Decision, Label
from distill.services.decide import record_decision
from distill.services.undo import undo_decision
from tests.builders import make_completion, make_user


def decide(completion, reviewer, kind="accept", *, client_id=None, **more) -> Decision:
    return record_decision(
        completion_id=completion.pk,
        reviewer=reviewer,
        kind=kind,
        client_id=client_id or uuid.uuid4(),
        **more,
    )


def reject(completion, reviewer, reason=Reason.TRIVIAL, **more) -> Decision:
    return decide(completion, reviewer, "reject", reasons=(reason,), **more)


def undo(decision, reviewer, *, client_id=None) -> Decision:
    return undo_decision(
        decision_id=decision.pk, reviewer=reviewer, client_id=client_id or uuid.uuid4()
    )


def outcome_of(completion: Completion) -> str | None:
    label = Label.objects.filter(completion=completion).first()
    return label.outcome if label else None


@pytest.mark.django_db
def test_accept_sets_the_label():
    completion, reviewer = make_completion(), make_user("reviewer")
    decision = decide(completion, reviewer, note="fine", judge_seen=True, active_ms=4200)
    label = completion.label
    assert (label.outcome, label.basis, label.decision) == ("accepted", "single", decision)
    assert (decision.note, decision.judge_seen, decision.active_ms) == ("fine", True, 4200)


@pytest.mark.django_db
def test_reject_keeps_its_reasons():
    completion = make_completion()
    decision = decide(
        completion,
        make_user("reviewer"),
        "reject",
        reasons=[Reason.IMPLAUSIBLE, Reason.UNSAFE, Reason.IMPLAUSIBLE],
    )
    assert outcome_of(completion) == "rejected"
    decision.refresh_from_db()
    assert decision.reasons == ["implausible", "unsafe"]


@pytest.mark.django_db
def test_skip_sets_no_label():
    completion = make_completion()
    decide(completion, make_user("reviewer"), "skip")
    assert outcome_of(completion) is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("kind", "reasons", "message"),
    [
        ("reject", (), "needs a reason"),
        ("reject", (Reason.LOW_SCORE,), "low_score is not a reason"),
        ("accept", (Reason.TRIVIAL,), "Only a rejection"),
        ("undo", (), "Unknown decision"),
    ],
)
def test_what_makes_no_sense_is_refused(kind, reasons, message):
    completion = make_completion()
    with pytest.raises(InputError, match=message):
        decide(completion, make_user("reviewer"), kind, reasons=reasons)
    assert not Decision.objects.exists()


@pytest.mark.django_db
def test_a_missing_completion_is_said():
    with pytest.raises(InputError, match="no completion 12345"):
        record_decision(
            completion_id=12345,
            reviewer=make_user("reviewer"),
            kind="accept",
            client_id=uuid.uuid4(),
        )


@pytest.mark.django_db
def test_the_same_client_id_again_returns_the_stored_decision():
    completion, reviewer, client_id = make_completion(), make_user("reviewer"), uuid.uuid4()
    first = decide(completion, reviewer, client_id=client_id)
    again = reject(completion, reviewer, client_id=client_id)
    assert (again.pk, again.kind) == (first.pk, "accept")
    assert Decision.objects.count() == 1


@pytest.mark.django_db
def test_a_client_id_of_another_decision_is_refused():
    reviewer, client_id = make_user("reviewer"), uuid.uuid4()
    decide(make_completion(), reviewer, client_id=client_id)
    other = make_completion()
    with pytest.raises(ConflictError, match="belongs to another"):
        decide(other, reviewer, client_id=client_id)
    assert outcome_of(other) is None


@pytest.mark.django_db(transaction=True)
def test_the_same_client_id_at_the_same_time_is_stored_once():
    completion, reviewer, client_id = make_completion(), make_user("reviewer"), uuid.uuid4()
    barrier = threading.Barrier(8)

    def press(_: int) -> int:
        try:
            barrier.wait()
            return decide(completion, reviewer, client_id=client_id).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(press, range(8)))) == 1
    assert Decision.objects.count() == 1


@pytest.mark.django_db
def test_nobody_decides_a_completion_twice():
    completion, reviewer = make_completion(), make_user("reviewer")
    decide(completion, reviewer)
    with pytest.raises(ConflictError, match="accepted this completion already"):
        reject(completion, reviewer)
    assert outcome_of(completion) == "accepted"


@pytest.mark.django_db
def test_who_skipped_may_decide_later():
    completion, reviewer = make_completion(), make_user("reviewer")
    decide(completion, reviewer, "skip")
    reject(completion, reviewer)
    assert outcome_of(completion) == "rejected"


@pytest.mark.django_db
def test_undo_takes_the_label_away_and_keeps_the_decision():
    completion, reviewer = make_completion(), make_user("reviewer")
    decision = decide(completion, reviewer)
    undone = undo(decision, reviewer)
    assert outcome_of(completion) is None
    assert (undone.kind, undone.undoes) == ("undo", decision)
    assert Decision.objects.count() == 2


@pytest.mark.django_db
def test_after_an_undo_one_may_decide_again():
    completion, reviewer = make_completion(), make_user("reviewer")
    undo(decide(completion, reviewer), reviewer)
    reject(completion, reviewer)
    assert outcome_of(completion) == "rejected"


@pytest.mark.django_db
def test_undoing_restores_what_the_others_said():
    completion, anna, ben = make_completion(), make_user("reviewer"), make_user("reviewer")
    first = decide(completion, anna)
    reject(completion, ben)
    assert outcome_of(completion) == "accepted"
    undo(first, anna)
    assert outcome_of(completion) == "rejected"


@pytest.mark.django_db
def test_undoing_twice_is_harmless():
    completion, reviewer, client_id = make_completion(), make_user("reviewer"), uuid.uuid4()
    decision = decide(completion, reviewer)
    first = undo(decision, reviewer, client_id=client_id)
    assert undo(decision, reviewer, client_id=client_id) == first
    assert undo(decision, reviewer) == first
    assert Decision.objects.count() == 2


@pytest.mark.django_db
def test_only_ones_own_decision_can_be_undone():
    completion = make_completion()
    decision = decide(completion, make_user("reviewer"))
    with pytest.raises(InputError, match="no such decision of yours"):
        undo(decision, make_user("lead"))
    assert outcome_of(completion) == "accepted"


@pytest.mark.django_db
def test_an_undo_cannot_be_undone():
    completion, reviewer = make_completion(), make_user("reviewer")
    with pytest.raises(InputError, match="cannot be undone"):
        undo(undo(decide(completion, reviewer), reviewer), reviewer)


@pytest.mark.django_db(transaction=True)
def test_decisions_at_the_same_time_leave_one_true_label():
    completion = make_completion()
    reviewers = [make_user("reviewer") for _ in range(8)]
    barrier = threading.Barrier(8)

    def press(reviewer) -> None:
        try:
            barrier.wait()
            reject(completion, reviewer)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(press, reviewers))
    first = Decision.objects.order_by("id").first()
    assert Decision.objects.count() == 8
    assert Label.objects.get().decision == first
