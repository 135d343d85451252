"""Decide the completion of a slot."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.contrib.auth.models import User
from django.db import transaction

from distill.logic.errors import InputError
from distill.logic.reasons import Reason
from distill.models import Decision
from distill.services.decide import record_decision
from review.models import Slot


class Standing(StrEnum):
    """What became of a decision. All of them are kept."""

    COUNTED = "counted"
    LATE = "late"
    """The lease had ended, but there still was a slot for it: it counts."""
    EXTRA = "extra"
    """Others have all the slots, or a later attempt has the place: kept as a further opinion."""
    REPEATED = "repeated"
    """It had been stored before; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The stored decision, and what became of it."""

    decision: Decision
    standing: Standing


def settle_slot(
    *,
    slot_id: int,
    reviewer: User,
    lease_token: uuid.UUID | None,
    kind: str,
    reasons: Collection[Reason] = (),
    note: str = "",
    client_id: uuid.UUID,
    active_ms: int | None = None,
    now: datetime,
) -> Settled:
    """Record the decision and close the slot (a skip opens it for others); nothing is dropped.

    1. The completion's slots are locked, then its state: always in this order.
    2. The decision is recorded; the same `client_id` again gives what is stored.
    3. It takes the reviewer's own slot, else a slot that is still free, so that the number of
       wanted reviews is only exceeded where somebody else has been given the last one.
    """
    with transaction.atomic():
        slots = _lock_slots(slot_id)
        is_repeated = Decision.objects.filter(client_id=client_id).exists()
        decision = record_decision(
            completion_id=slots[0].completion_id,
            reviewer=reviewer,
            kind=kind,
            reasons=reasons,
            note=note,
            client_id=client_id,
            judge_seen=_has_seen_judge(slots[0].completion_id, reviewer),
            active_ms=active_ms,
        )
        if is_repeated:
            return Settled(decision, Standing.REPEATED)
        slot = _find_place(slots, slot_id=slot_id, reviewer=reviewer)
        if slot is None or not _move(slot, decision):
            return Settled(decision, Standing.EXTRA)
        in_time = slot.lease_token == lease_token and slot.lease_until and slot.lease_until >= now
        return Settled(decision, Standing.COUNTED if in_time else Standing.LATE)


def _lock_slots(slot_id: int) -> list[Slot]:
    same_completion = Slot.objects.filter(completion__slots=slot_id).order_by("number")
    slots = list(same_completion.select_for_update(of=("self",)))
    if not slots:
        raise InputError("This card no longer exists: its dataset has been deleted.")
    return slots


def _has_seen_judge(completion_id: int, reviewer: User) -> bool:
    """Whoever has decided it once was shown the judge's score then, also if that was undone."""
    decisions = Decision.objects.filter(completion=completion_id, reviewer=reviewer)
    return decisions.filter(kind__in=(Decision.Kind.ACCEPT, Decision.Kind.REJECT)).exists()


def _find_place(slots: Sequence[Slot], *, slot_id: int, reviewer: User) -> Slot | None:
    for slot in slots:
        if slot.state == Slot.State.CLAIMED and slot.reviewer_id == reviewer.pk:
            return slot
    free = [slot for slot in slots if slot.state == Slot.State.OPEN]
    return next((slot for slot in free if slot.pk == slot_id), free[0] if free else None)


def _move(slot: Slot, decision: Decision) -> bool:
    unmoved = Slot.objects.filter(pk=slot.pk, state=slot.state, lease_token=slot.lease_token)
    if decision.kind == Decision.Kind.SKIP:
        return bool(
            unmoved.update(state=Slot.State.OPEN, reviewer=None, lease_token=None, lease_until=None)
        )
    return bool(
        unmoved.update(
            state=Slot.State.DONE,
            reviewer=decision.reviewer_id,
            decision=decision,
            lease_token=None,
            lease_until=None,
        )
    )
