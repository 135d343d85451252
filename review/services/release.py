"""Take back what was claimed and left."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from review.models import Slot

BATCH = 500


def release_expired(*, now: datetime) -> int:
    """Open the slots whose lease has ended; return how many.

    Cheap when there are none (the index of leased slots is as long as the team); at most `BATCH`
    at once, and those that are being settled at this moment are left alone.
    """
    expired = Slot.objects.filter(state=Slot.State.CLAIMED, lease_until__lt=now)
    if not expired.exists():
        return 0
    with transaction.atomic():
        locked = expired.order_by("lease_until").select_for_update(skip_locked=True)
        slot_ids = list(locked.values_list("id", flat=True)[:BATCH])
        return Slot.objects.filter(id__in=slot_ids, state=Slot.State.CLAIMED).update(
            state=Slot.State.OPEN, reviewer=None, lease_token=None, lease_until=None
        )
