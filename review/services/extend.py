"""Give the reviewer more time with the cards that they hold."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import User

from review.models import Slot
from review.queries.pace import lease_of
from review.queries.slots import held_slots


def extend_leases(*, queue_id: int, reviewer: User, now: datetime) -> datetime:
    """Let the leases of the reviewer's cards in the queue begin anew; return when they end.

    A card that somebody else has been given since stays with them.
    """
    until = now + lease_of(reviewer)
    held = held_slots(queue_id=queue_id, reviewer=reviewer).order_by()
    held.filter(state=Slot.State.CLAIMED).update(lease_until=until)
    return until
