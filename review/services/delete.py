"""Delete a queue that was never used."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from distill.logic.errors import ConflictError
from review.models import Queue, Slot
from review.services.release import release_expired
from review.services.turns import wait_alone


def delete_queue(*, queue_id: int, now: datetime) -> None:
    """Delete the queue with its slots; gone already is fine.

    Raises ConflictError where somebody has decided in it or holds a card of it, and for the queue
    that each dataset has by itself: it would be made again.
    """
    release_expired(now=now)
    with transaction.atomic():
        wait_alone(queue_id=queue_id)
        queue = Queue.objects.select_for_update().filter(pk=queue_id).first()
        if queue is None:
            return
        if queue.is_default:
            raise ConflictError("Each dataset keeps the queue of what passed the gate: close it.")
        if queue.slots.filter(state=Slot.State.DONE).exists():
            raise ConflictError(
                "Somebody has decided in this queue: it can be closed, not deleted."
            )
        if queue.slots.filter(state=Slot.State.CLAIMED).exists():
            raise ConflictError(
                "Somebody has a card of this queue on screen. Close it, and delete it when "
                "the card is back."
            )
        queue.delete()
