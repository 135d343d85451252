"""Take a decision back and put its card before the reviewer again."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction

from distill.logic.errors import InputError
from distill.models import CompletionState, Decision
from distill.services.undo import undo_decision
from review.logic.leases import LEASE
from review.models import Slot
from review.queries.history import standing_decisions


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

    The slot goes to the same reviewer with a new lease. It cannot where somebody else has been
    given it since a skip, or where a later attempt has replaced the completion; the undo stands all
    the same. The same `client_id` again changes nothing.
    """
    with transaction.atomic():
        stored = Decision.objects.filter(client_id=client_id, reviewer=reviewer).first()
        decision = stored.undoes if stored else _choose(queue_id, reviewer, decision_id)
        if decision is None:
            raise InputError("There is nothing of yours to undo in this queue.")
        slots = list(
            Slot.objects.select_for_update()
            .filter(queue=queue_id, completion=decision.completion_id)
            .order_by("number")
        )
        undo = undo_decision(decision_id=decision.pk, reviewer=reviewer, client_id=client_id)
        if stored or undo.client_id != client_id:
            return Undone(decision, is_back=_holds(slots, reviewer) is not None)
        return Undone(decision, is_back=_bring_back(slots, decision, now))


def _choose(queue_id: int, reviewer: User, decision_id: int | None) -> Decision | None:
    standing = standing_decisions(queue_id=queue_id, reviewer=reviewer)
    if decision_id is not None:
        return Decision.objects.filter(
            pk=decision_id, reviewer=reviewer, completion__slots__queue=queue_id
        ).first()
    return standing.first()


def _holds(slots: list[Slot], reviewer: User) -> Slot | None:
    held = (s for s in slots if s.state == Slot.State.CLAIMED and s.reviewer_id == reviewer.pk)
    return next(held, None)


def _bring_back(slots: list[Slot], decision: Decision, now: datetime) -> bool:
    settled = [slot for slot in slots if slot.decision_id == decision.pk]
    free = [slot for slot in slots if slot.state == Slot.State.OPEN]
    slot = next(iter([*settled, *free]), None)
    if slot is None:
        return False
    unmoved = Slot.objects.filter(pk=slot.pk, state=slot.state, decision=slot.decision_id)
    if not CompletionState.objects.filter(pk=decision.completion_id, is_open=True).exists():
        unmoved.update(state=Slot.State.SUPERSEDED, decision=None)
        return False
    moved = unmoved.update(
        state=Slot.State.CLAIMED,
        reviewer=decision.reviewer_id,
        decision=None,
        lease_token=uuid.uuid4(),
        lease_until=now + LEASE,
    )
    return moved == 1
