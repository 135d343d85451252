"""Show a reviewer what the judges said, before they have decided."""

from __future__ import annotations

from django.contrib.auth.models import User

from distill.logic.errors import ConflictError
from review.models import Slot


def reveal_judge(*, slot_id: int, reviewer: User) -> Slot:
    """Note that the reviewer looks at the judges' scores of a card they hold, and return its slot.

    The decision then says so, and counts for no agreement with the judge. Raises ConflictError where
    the card is not the reviewer's any more.
    """
    held = Slot.objects.filter(pk=slot_id, reviewer=reviewer, state=Slot.State.CLAIMED)
    if not held.update(judge_seen=True):
        raise ConflictError("This card is not yours any more: decide it, or take the next one.")
    return held.select_related("completion__state_row").get()
