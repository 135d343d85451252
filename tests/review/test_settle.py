"""Decisions on slots: counted, late, extra, repeated; undone; never dropped."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from distill.logic.errors import ConflictError, InputError
from distill.logic.reasons import Reason
from distill.models import CompletionState, Decision, Label
from review.logic.leases import LEASE
from review.models import Slot
from review.services.claim import claim_next
from review.services.settle import Settled, Standing, settle_slot
from review.services.undo import Undone, undo_last
from tests.builders import let_read, make_queue, make_user

pytestmark = pytest.mark.django_db

LATER = LEASE + timedelta(seconds=1)


def claim(queue, reviewer, *, count=1, now=None) -> list[Slot]:
    let_read(queue, reviewer)
    return claim_next(queue_id=queue.pk, reviewer=reviewer, count=count, now=now or timezone.now())


def settle(slot, reviewer, kind="accept", *, client_id=None, now=None) -> Settled:
    return settle_slot(
        slot_id=slot.pk,
        reviewer=reviewer,
        lease_token=slot.lease_token,
        kind=kind,
        reasons=(Reason.TRIVIAL,) if kind == "reject" else (),
        client_id=client_id or uuid.uuid4(),
        now=now or timezone.now(),
    )


def undo(queue, reviewer, *, client_id=None, decision=None) -> Undone:
    return undo_last(
        queue_id=queue.pk,
        reviewer=reviewer,
        client_id=client_id or uuid.uuid4(),
        now=timezone.now(),
        decision_id=decision.pk if decision else None,
    )


@pytest.fixture
def anna():
    return make_user("reviewer")


@pytest.fixture
def ben():
    return make_user("reviewer")


def test_a_decision_closes_the_slot(anna):
    (slot,) = claim(make_queue(1), anna)
    settled = settle(slot, anna, "reject")
    stored = Slot.objects.get()
    assert settled.standing == Standing.COUNTED
    assert (stored.state, stored.decision, stored.lease_token) == ("done", settled.decision, None)
    assert Label.objects.get().outcome == "rejected"


def test_a_skip_leaves_the_slot_to_others(anna, ben):
    queue = make_queue(1)
    (slot,) = claim(queue, anna)
    assert settle(slot, anna, "skip").standing == Standing.COUNTED
    assert claim(queue, anna) == []
    assert claim(queue, ben) == [slot]
    assert not Label.objects.exists()


def test_the_same_client_id_again_changes_nothing(anna):
    (slot,) = claim(make_queue(1), anna)
    client_id = uuid.uuid4()
    first = settle(slot, anna, client_id=client_id)
    again = settle(slot, anna, "reject", client_id=client_id)
    assert (again.decision, again.standing) == (first.decision, Standing.REPEATED)
    assert Decision.objects.count() == 1


def test_a_repeated_decision_does_not_close_what_was_undone(anna):
    queue = make_queue(1)
    (slot,) = claim(queue, anna)
    client_id = uuid.uuid4()
    settle(slot, anna, client_id=client_id)
    undo(queue, anna)
    assert settle(slot, anna, client_id=client_id).standing == Standing.REPEATED
    assert Slot.objects.get().state == "claimed"
    assert not Label.objects.exists()


def test_after_the_lease_a_decision_still_counts_when_nobody_took_the_slot(anna):
    now = timezone.now()
    (slot,) = claim(make_queue(1), anna, now=now)
    assert settle(slot, anna, now=now + LATER).standing == Standing.LATE
    assert Slot.objects.get().state == "done"


def test_after_the_release_too(anna, ben):
    now = timezone.now()
    queue = make_queue(1)
    (slot,) = claim(queue, anna, now=now)
    (taken,) = claim(queue, ben, now=now + LATER)
    settle(taken, ben, "skip", now=now + LATER)
    assert settle(slot, anna, now=now + LATER).standing == Standing.LATE
    assert Slot.objects.get().reviewer == anna


def test_a_decision_is_kept_when_somebody_else_has_the_slot(anna, ben):
    now = timezone.now()
    queue = make_queue(1)
    (slot,) = claim(queue, anna, now=now)
    claim(queue, ben, now=now + LATER)
    settled = settle(slot, anna, "reject", now=now + LATER)
    assert settled.standing == Standing.EXTRA
    assert Decision.objects.get().reviewer == anna
    assert Slot.objects.get().reviewer == ben


def test_a_kept_opinion_and_the_slots_own_leave_the_earlier_label(anna, ben):
    now = timezone.now()
    queue = make_queue(1)
    (slot,) = claim(queue, anna, now=now)
    (taken,) = claim(queue, ben, now=now + LATER)
    settle(slot, anna, "reject", now=now + LATER)
    assert settle(taken, ben, now=now + LATER).standing == Standing.COUNTED
    assert Label.objects.get().outcome == "rejected"
    assert Decision.objects.count() == 2
    undo(queue, anna)
    assert Label.objects.get().outcome == "accepted"


def test_a_late_decision_takes_another_free_slot_of_its_completion(anna, ben):
    now = timezone.now()
    queue = make_queue(1, required_reviews=2)
    (slot,) = claim(queue, anna, now=now)
    (taken,) = claim(queue, ben, now=now + LATER)
    assert taken == slot
    assert settle(slot, anna, now=now + LATER).standing == Standing.LATE
    assert Slot.objects.get(number=2).reviewer == anna


def test_a_decision_on_a_replaced_completion_is_kept(anna):
    (slot,) = claim(make_queue(1), anna)
    Slot.objects.update(state=Slot.State.SUPERSEDED, reviewer=None, lease_token=None)
    assert settle(slot, anna).standing == Standing.EXTRA
    assert Label.objects.get().outcome == "accepted"


def test_deciding_in_a_second_tab_is_refused_and_changes_nothing(anna):
    (slot,) = claim(make_queue(1), anna)
    settle(slot, anna)
    with pytest.raises(ConflictError, match="already"):
        settle(slot, anna, "reject")
    assert Label.objects.get().outcome == "accepted"


def test_a_card_that_is_gone_is_said(anna):
    (slot,) = claim(make_queue(1), anna)
    slot.queue.dataset.delete()
    with pytest.raises(InputError, match="no longer exists"):
        settle(slot, anna)


# --- undo ---


def test_undo_brings_the_card_back_to_the_same_person(anna):
    queue = make_queue(1)
    (slot,) = claim(queue, anna)
    settle(slot, anna)
    assert undo(queue, anna).is_back
    stored = Slot.objects.get()
    assert (stored.state, stored.reviewer, stored.decision) == ("claimed", anna, None)
    assert stored.lease_token != slot.lease_token
    assert not Label.objects.exists()
    assert settle(stored, anna, "reject").standing == Standing.COUNTED


def test_who_decides_anew_has_seen_the_judge(anna):
    queue = make_queue(1)
    (slot,) = claim(queue, anna)
    assert not settle(slot, anna).decision.judge_seen
    undo(queue, anna)
    assert settle(slot, anna).decision.judge_seen


def test_undo_goes_back_one_decision_at_a_time(anna):
    queue = make_queue(3)
    slots = claim(queue, anna, count=3)
    decisions = [settle(slot, anna).decision for slot in slots]
    assert [undo(queue, anna).decision for _ in range(3)] == decisions[::-1]
    with pytest.raises(InputError, match="nothing of yours to undo"):
        undo(queue, anna)


def test_an_older_decision_can_be_named(anna):
    queue = make_queue(2)
    first, second = claim(queue, anna, count=2)
    decision = settle(first, anna).decision
    settle(second, anna)
    assert undo(queue, anna, decision=decision).decision == decision
    assert Label.objects.get().completion_id == second.completion_id


def test_undoing_twice_with_one_client_id_undoes_one(anna):
    queue, client_id = make_queue(2), uuid.uuid4()
    for slot in claim(queue, anna, count=2):
        settle(slot, anna)
    first = undo(queue, anna, client_id=client_id)
    again = undo(queue, anna, client_id=client_id)
    assert again == first
    assert Label.objects.count() == 1


def test_undoing_a_named_decision_twice_is_harmless(anna):
    queue = make_queue(1)
    (slot,) = claim(queue, anna)
    decision = settle(slot, anna).decision
    undo(queue, anna, decision=decision)
    lease = Slot.objects.get().lease_token
    assert undo(queue, anna, decision=decision).is_back
    assert Slot.objects.get().lease_token == lease


def test_a_skip_is_undone_while_nobody_else_has_the_card(anna):
    queue = make_queue(1)
    (slot,) = claim(queue, anna)
    settle(slot, anna, "skip")
    assert undo(queue, anna).is_back
    assert Slot.objects.get().reviewer == anna


def test_a_skipped_card_that_somebody_else_has_does_not_come_back(anna, ben):
    queue = make_queue(1)
    (slot,) = claim(queue, anna)
    settle(slot, anna, "skip")
    claim(queue, ben)
    assert not undo(queue, anna).is_back
    assert Slot.objects.get().reviewer == ben


def test_a_card_that_a_later_attempt_replaced_does_not_come_back(anna):
    queue = make_queue(1)
    (slot,) = claim(queue, anna)
    settle(slot, anna)
    CompletionState.objects.update(is_open=False)
    assert not undo(queue, anna).is_back
    assert Slot.objects.get().state == "superseded"
    assert not Label.objects.exists()


def test_nobody_undoes_what_others_decided(anna, ben):
    queue = make_queue(1)
    (slot,) = claim(queue, anna)
    decision = settle(slot, anna).decision
    with pytest.raises(InputError, match="nothing of yours"):
        undo(queue, ben, decision=decision)
    assert Label.objects.get().outcome == "accepted"
