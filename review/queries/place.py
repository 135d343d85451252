"""Which slot of a completion a person may decide who comes with the completion, not with a card."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db.models import QuerySet

from distill.logic.errors import ConflictError
from review.models import Slot
from review.queries.guidelines import may_claim


def find_place(*, completion_id: int, reviewer: User) -> Slot | None:
    """The person's own slot, else a free one of an open queue; None where no queue holds it.

    Raises ConflictError where others have every place, or the queue's guidelines are not read.
    """
    slots = Slot.objects.filter(completion=completion_id)
    # One person has one slot of a completion at most.
    own = slots.filter(reviewer=reviewer).first()
    if own is not None or not slots.exists():
        return own
    return _free(slots, reviewer)


def _free(slots: QuerySet[Slot], reviewer: User) -> Slot:
    # A slot of what a later attempt has replaced is open until the next filling.
    still_wanted = slots.filter(state=Slot.State.OPEN, completion__state_row__is_open=True)
    free = still_wanted.filter(queue__is_closed=False).select_related("queue").order_by("id")
    if not free:
        raise ConflictError(
            "Nothing was saved: others have every place of this completion, a later attempt has "
            "replaced it, or its queue is closed."
        )
    for slot in free:
        if may_claim(queue_id=slot.queue_id, reviewer=reviewer).has_read:
            return slot
    raise ConflictError(
        f"Read the guidelines of queue “{free[0].queue}” on the site first, then decide."
    )
