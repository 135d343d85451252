"""Which slots a person holds, and which they may be given."""

from __future__ import annotations

from collections.abc import Collection

from django.contrib.auth.models import User
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from distill.models import CompletionState, Decision
from review.models import Slot

CARD_RELATIONS = (
    "queue__dataset",
    "completion__sample",
    "rival",
)


def claimable_slots(*, queue_id: int, reviewer: User) -> QuerySet[Slot]:
    """Open slots in the order in which this person is given them, straight from their index.

    Never a completion that the person has decided, skipped or holds, never one that a later
    attempt has replaced; of several open slots of a completion the first, so that a claim of
    several slots gives several completions.
    """
    same_completion = Q(completion=OuterRef("completion"))
    open_slots = Slot.objects.filter(queue=queue_id, state=Slot.State.OPEN)
    mine = Slot.objects.filter(same_completion, reviewer=reviewer)
    earlier = open_slots.filter(same_completion, number__lt=OuterRef("number"))
    decided = Decision.objects.filter(same_completion, reviewer=reviewer, undone_by=None).exclude(
        kind=Decision.Kind.UNDO
    )
    current = CompletionState.objects.filter(same_completion, is_open=True)
    return open_slots.filter(
        ~Exists(mine), ~Exists(earlier), ~Exists(decided), Exists(current)
    ).order_by(F("priority").desc(), "id")


def held_slots(*, queue_id: int, reviewer: User) -> QuerySet[Slot]:
    """What the person holds in this queue, in the order of their hand: the first is on screen."""
    return Slot.objects.filter(
        queue=queue_id, reviewer=reviewer, state=Slot.State.CLAIMED
    ).order_by("hand_order", F("priority").desc(), "id")


def hand(*, queue_id: int, reviewer: User, have: Collection[int] = ()) -> list[Slot]:
    """The slots that the person holds, with all that their cards show; of those that the page has
    (`have`) nothing but the slot.
    """
    held = list(held_slots(queue_id=queue_id, reviewer=reviewer))
    missing = [slot.pk for slot in held if slot.pk not in have]
    whole = Slot.objects.select_related(*CARD_RELATIONS).in_bulk(missing)
    return [whole.get(slot.pk, slot) for slot in held]
