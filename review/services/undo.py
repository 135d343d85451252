"""Take a decision back and put its card before the reviewer again."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Min

from distill.logic.errors import InputError
from distill.models import CompletionState, Decision
from distill.services.undo import id_taken, undo_decision
from review.models import Slot
from review.queries.history import my_decisions, standing_decisions
from review.queries.pace import lease_of
from review.services.turns import wait_turn


@dataclass(frozen=True, slots=True)
class Undone:
    """The undo, what it took back, and whether the card is the reviewer's again."""

    decision: Decision
    is_back: bool


def undo_last(
    *,
    queue_id: int,
    reviewer: User,
    client_id: uuid.UUID,
    now: datetime,
    decision_id: int | None = None,
) -> Undone:
    """Undo the reviewer's last decision in the queue that stands, or the one named.

    The slot goes to the same reviewer with a new lease, also in a queue closed meanwhile. It cannot
    where somebody else has been given it since a skip, or where a later attempt has replaced the
    completion; the undo stands all the same. The same `client_id` again changes nothing. Raises
    InputError where there is nothing to undo, ConflictError where that id is another decision's.
    """
    with transaction.atomic():
        wait_turn(reviewer_id=reviewer.pk, queue_id=queue_id)
        stored = Decision.objects.filter(client_id=client_id, reviewer=reviewer).first()
        if stored and decision_id not in (None, stored.undoes_id):
            raise id_taken()
        decision = stored.undoes if stored else _choose(queue_id, reviewer, decision_id)
        if decision is None:
            raise InputError("There is nothing of yours to undo in this queue.")
        same = Slot.objects.filter(completion=decision.completion_id).order_by("id")
        slots = list(same.select_for_update())
        undo = undo_decision(decision_id=decision.pk, reviewer=reviewer, client_id=client_id)
        if stored or undo.client_id != client_id:
            return Undone(decision, is_back=_holds(slots, reviewer, queue_id))
        if _has_another(slots, decision):
            return Undone(decision, is_back=_holds(slots, reviewer, queue_id))
        here = [slot for slot in slots if slot.queue_id == queue_id]
        return Undone(decision, is_back=_bring_back(here, decision, now))


def _choose(queue_id: int, reviewer: User, decision_id: int | None) -> Decision | None:
    if decision_id is None:
        return standing_decisions(queue_id=queue_id, reviewer=reviewer).first()
    return my_decisions(queue_id=queue_id, reviewer=reviewer).filter(pk=decision_id).first()


def _holds(slots: list[Slot], reviewer: User, queue_id: int) -> bool:
    return any(
        slot.state == Slot.State.CLAIMED
        and (slot.reviewer_id, slot.queue_id) == (reviewer.pk, queue_id)
        for slot in slots
    )


def _has_another(slots: list[Slot], decision: Decision) -> bool:
    """Whether the person has a slot of the completion beside the one that the decision took."""
    return any(
        slot.reviewer_id == decision.reviewer_id and slot.decision_id != decision.pk
        for slot in slots
    )


def _bring_back(slots: list[Slot], decision: Decision, now: datetime) -> bool:
    settled = [slot for slot in slots if slot.decision_id == decision.pk]
    free = [slot for slot in slots if slot.state == Slot.State.OPEN]
    slot = next(iter([*settled, *free]), None)
    if slot is None:
        return False
    unmoved = Slot.objects.filter(pk=slot.pk, state=slot.state, decision=slot.decision_id)
    if not CompletionState.objects.filter(pk=decision.completion_id, is_open=True).exists():
        unmoved.update(state=Slot.State.SUPERSEDED, decision=None, reviewer=None)
        return False
    moved = unmoved.update(
        state=Slot.State.CLAIMED,
        reviewer=decision.reviewer_id,
        decision=None,
        lease_token=uuid.uuid4(),
        lease_until=now + lease_of(decision.reviewer),
        hand_order=_before_others(slot, decision),
    )
    return moved == 1


def _before_others(slot: Slot, decision: Decision) -> int:
    """The place before all cards that the person holds in the queue: it comes back on screen."""
    held = Slot.objects.filter(
        queue=slot.queue_id, reviewer=decision.reviewer_id, state=Slot.State.CLAIMED
    )
    first: int | None = held.aggregate(first=Min("hand_order"))["first"]
    return 0 if first is None else first - 1
