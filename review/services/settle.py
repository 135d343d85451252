"""Decide the completion of a slot."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
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
from review.services.drop_draft import drop_draft
from review.services.satisfied import close_satisfied
from review.services.turns import wait_turn


class Standing(StrEnum):
    """What became of a decision. All of them are kept."""

    COUNTED = "counted"
    LATE = "late"
    """The lease had ended, but there still was a slot for it: it counts."""
    EXTRA = "extra"
    """No slot is left for it, or a later attempt has the place: kept as a further opinion."""
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
    fields: Mapping[str, str] | None = None,
    client_id: uuid.UUID,
    active_ms: int | None = None,
    now: datetime,
) -> Settled:
    """Record the decision and close the slot (a skip opens it for others); nothing is dropped.

    `fields` are the words of an edit. A comparison is one of the card's two completions.

    1. The person's turn is waited for, then the completion's slots in all queues are locked, then
       its state: always in this order.
    2. The decision is recorded; the same `client_id` again gives what is stored.
    3. It takes the reviewer's own slot, else one of the queue that is still free, so that the
       number of wanted reviews is only exceeded where somebody else has been given the last one.
    4. Open slots of other queues that have enough reviews with it are closed.
    """
    with transaction.atomic():
        queue_id, completion_id = _find_card(slot_id)
        wait_turn(reviewer_id=reviewer.pk, queue_id=queue_id)
        slots = _lock_slots(completion_id)
        is_repeated = Decision.objects.filter(client_id=client_id).exists()
        place = _find_place(slots, slot_id=slot_id, reviewer=reviewer)
        card = place or next(slot for slot in slots if slot.pk == slot_id)
        decision = record_decision(
            completion_id=completion_id,
            reviewer=reviewer,
            kind=kind,
            reasons=reasons,
            note=note,
            fields=fields,
            rival_id=card.rival_id if kind in COMPARISONS else None,
            client_id=client_id,
            judge_seen=_has_seen_judge(card, reviewer),
            active_ms=active_ms,
            # Of a gold one more are given out than its label needs.
            required_reviews=min(card.required_reviews, card.queue.required_reviews),
            guidelines_version=card.queue.guidelines_version,
        )
        if is_repeated:
            return Settled(decision, Standing.REPEATED)
        if kind != Decision.Kind.SKIP:
            drop_draft(completion_id=completion_id, reviewer=reviewer)
        is_placed = place is not None and _move(place, decision)
        close_satisfied(slots, except_for=place)
        if place is None or not is_placed:
            return Settled(decision, Standing.EXTRA)
        in_time = (
            place.lease_token == lease_token and place.lease_until and place.lease_until >= now
        )
        return Settled(decision, Standing.COUNTED if in_time else Standing.LATE)


COMPARISONS = (Decision.Kind.PREFER, Decision.Kind.PREFER_RIVAL, Decision.Kind.TIE)


def _find_card(slot_id: int) -> tuple[int, int]:
    card = Slot.objects.filter(pk=slot_id).values_list("queue_id", "completion_id").first()
    if card is None:
        raise InputError("This card no longer exists: its queue or its dataset has been deleted.")
    return card


def _lock_slots(completion_id: int) -> list[Slot]:
    slots = Slot.objects.filter(completion=completion_id).select_related("queue")
    # By id: whoever locks several slots does it in this order, so that nobody waits in a ring.
    return list(slots.order_by("id").select_for_update(of=("self",)))


def _has_seen_judge(card: Slot, reviewer: User) -> bool:
    """On the card; or who has decided it once was shown the score then, also if that was undone."""
    if card.judge_seen and card.reviewer_id == reviewer.pk:
        return True
    decisions = Decision.objects.filter(completion=card.completion_id, reviewer=reviewer)
    return decisions.filter(kind__in=Decision.VERDICTS).exists()


def _find_place(slots: Sequence[Slot], *, slot_id: int, reviewer: User) -> Slot | None:
    """The person's own slot, wherever it is, else the card's, else another free one beside it."""
    card = next((slot for slot in slots if slot.pk == slot_id), None)
    if card is None:
        return None
    own = [s for s in slots if s.state == Slot.State.CLAIMED and s.reviewer_id == reviewer.pk]
    beside = [s for s in slots if s.queue_id == card.queue_id and s.state == Slot.State.OPEN]
    places = (*own, *(slot for slot in beside if slot is card), *beside)
    return next(iter(places), None)


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
