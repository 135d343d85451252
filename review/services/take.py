"""Put a card before a reviewer."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import User

from review.logic.leases import LEASE
from review.models import Slot
from review.queries.slots import held_slots
from review.services.claim import claim_next
from review.services.fill import fill_queue


def take_card(*, queue_id: int, reviewer: User, now: datetime) -> bool:
    """Give the reviewer a card: the one held already, with a fresh lease, else the next one.

    When nothing is left, what belongs into the queue since then is looked for once. Raises
    ConflictError while the guidelines have not been read.
    """
    if _renew(queue_id, reviewer, now) or claim_next(queue_id=queue_id, reviewer=reviewer, now=now):
        return True
    if not fill_queue(queue_id=queue_id):
        return False
    return bool(claim_next(queue_id=queue_id, reviewer=reviewer, now=now))


def _renew(queue_id: int, reviewer: User, now: datetime) -> bool:
    held = held_slots(queue_id=queue_id, reviewer=reviewer).first()
    if held is None:
        return False
    still_held = Slot.objects.filter(
        pk=held.pk, state=Slot.State.CLAIMED, lease_token=held.lease_token
    )
    return still_held.update(lease_until=now + LEASE) == 1
