"""Close the slots of a completion that nobody needs to fill any more."""

from __future__ import annotations

from collections.abc import Sequence

from review.models import Gold, Slot
from review.queries.matching import lacks_no_comparison, lacks_no_review


def close_satisfied(slots: Sequence[Slot], *, except_for: Slot | None) -> int:
    """Close the open ones of a completion that has enough reviews for them; return how many.

    A review made in one queue counts in every other: nobody shall be asked for what is known. Only
    gold is asked of many people just because it is known. Call it under the lock of all the
    completion's `slots`, each with its queue, after the decision.
    """
    still_open = [s for s in slots if s.state == Slot.State.OPEN and s is not except_for]
    if not still_open:
        return 0
    gold = set(
        Gold.objects.filter(completion=still_open[0].completion_id).values_list("queue", flat=True)
    )
    enough = [slot.pk for slot in still_open if slot.queue_id not in gold and _has_enough(slot)]
    return Slot.objects.filter(pk__in=enough, state=Slot.State.OPEN).update(
        state=Slot.State.SUPERSEDED
    )


def _has_enough(slot: Slot) -> bool:
    if slot.rival_id is not None:
        return lacks_no_comparison(slot)
    return lacks_no_review(slot.completion_id, required_reviews=slot.required_reviews)
