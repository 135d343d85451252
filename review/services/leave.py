"""Take leave of a queue's cards."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.contrib.auth.models import User

from review.logic.leases import FOR_COMING_BACK
from review.models import Slot
from review.queries.slots import held_slots


def leave_cards(
    *, queue_id: int, reviewer: User, waiting: Collection[int], until: datetime, now: datetime
) -> int:
    """Open the slots `waiting` behind the card on screen for others; return how many.

    The card on screen stays the reviewer's for `FOR_COMING_BACK`. Only leases that end by `until`,
    as the page knew them: what a new page has renewed meanwhile is not touched.
    """
    held = (
        held_slots(queue_id=queue_id, reviewer=reviewer).order_by().filter(lease_until__lte=until)
    )
    opened = held.filter(pk__in=waiting).update(
        state=Slot.State.OPEN, reviewer=None, lease_token=None, lease_until=None
    )
    soon = now + FOR_COMING_BACK
    held.filter(lease_until__gt=soon).update(lease_until=soon)
    return opened
