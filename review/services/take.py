"""Put cards before a reviewer."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import User

from review.queries.slots import held_slots
from review.services.claim import claim_next
from review.services.extend import extend_leases
from review.services.fill import fill_queue


def take_cards(
    *, queue_id: int, reviewer: User, count: int = 1, renews: bool = True, now: datetime
) -> int:
    """See that the reviewer holds `count` cards, if there are so many; return how many they hold.

    Those that are held get a fresh lease, unless the page sees to that by itself. When nothing is left, what belongs into the queue since
    then is looked for once. Raises ConflictError while the guidelines have not been read.
    """
    if renews:
        extend_leases(queue_id=queue_id, reviewer=reviewer, now=now)
    held = held_slots(queue_id=queue_id, reviewer=reviewer).count()
    if held < count:
        held += len(claim_next(queue_id=queue_id, reviewer=reviewer, count=count - held, now=now))
    if not held and fill_queue(queue_id=queue_id):
        held = len(claim_next(queue_id=queue_id, reviewer=reviewer, count=count, now=now))
    return held
