"""Close the slots of a completion that nobody needs to fill any more."""

from __future__ import annotations

from collections.abc import Sequence

from review.models import Slot
from review.queries.matching import lacks_no_review


def close_satisfied(slots: Sequence[Slot], *, except_for: Slot | None) -> int:
    """Close the open ones of a completion whose queue has enough reviews; return how many.

    A review made in one queue counts in every other: nobody shall be asked for what is known. Call
    it under the lock of all the completion's `slots`, each with its queue, after the decision.
    """
    still_open = [s for s in slots if s.state == Slot.State.OPEN and s is not except_for]
    if not still_open:
        return 0
    completion_id = still_open[0].completion_id
    enough = [
        slot.pk
        for slot in still_open
        if lacks_no_review(completion_id, required_reviews=slot.queue.required_reviews)
    ]
    return Slot.objects.filter(pk__in=enough, state=Slot.State.OPEN).update(
        state=Slot.State.SUPERSEDED
    )
