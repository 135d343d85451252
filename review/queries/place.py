"""Which slot of a completion a person may decide who comes with the completion, not with a card."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib.auth.models import User

from distill.logic.errors import ConflictError
from review.models import Slot
from review.queries.guidelines import may_claim


def find_place(*, completion_id: int, reviewer: User) -> Slot | None:
    """The person's own slot, else a free one of an open queue; None where no queue holds it.

    Raises ConflictError where others have every place, or the queue's guidelines are not read.
    """
    slots = list(Slot.objects.filter(completion=completion_id).select_related("queue"))
    if not slots:
        return None
    own = [slot for slot in slots if slot.reviewer_id == reviewer.pk]
    # The one that is held before one that is decided, which is refused with its own words.
    own.sort(key=lambda slot: slot.state != Slot.State.CLAIMED)
    return own[0] if own else _free(slots, reviewer)


def _free(slots: Sequence[Slot], reviewer: User) -> Slot:
    free = [slot for slot in slots if slot.state == Slot.State.OPEN and not slot.queue.is_closed]
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
