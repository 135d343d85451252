"""Change a queue."""

from __future__ import annotations

from dataclasses import fields

from django.db import IntegrityError, transaction
from django.db.models.functions import Least

from distill.logic.errors import ConflictError
from review.logic.queue_filter import QueueFilter
from review.logic.ways import Ways
from review.models import Queue, Slot
from review.services.create import check_reviews, name_taken, stored_filter
from review.services.turns import wait_alone


def edit_queue(
    *,
    queue: Queue,
    name: str,
    guidelines: str,
    wanted: QueueFilter | None = None,
    required_reviews: int | None = None,
    ways: Ways | None = None,
) -> bool:
    """Store what has changed; return whether the guidelines are a new version, to be read again.

    Another filter, number of reviews or way of working (None leaves them) is taken only while nobody
    has decided anything in the queue. Cards that are held then go back: what is decided of them all the same is
    kept. Raises ConflictError where there is a decision, InputError where the name is taken.
    """
    with transaction.atomic():
        wait_alone(queue_id=queue.pk)
        stored = Queue.objects.select_for_update(no_key=True).get(pk=queue.pk)
        _change_what_it_takes(stored, wanted, required_reviews, ways)
        is_new_version = guidelines.strip() != stored.guidelines
        stored.name, stored.guidelines = name, guidelines.strip()
        stored.guidelines_version += int(is_new_version)
        try:
            with transaction.atomic():
                stored.save()
        except IntegrityError:
            raise name_taken(queue.dataset, name) from None
    return is_new_version


def _settled_parts(queue: Queue) -> dict[str, object]:
    """What cannot change once somebody has decided in the queue."""
    names = ("filter", "required_reviews", *(one.name for one in fields(Ways)))
    return {name: getattr(queue, name) for name in names}


def _change_what_it_takes(
    queue: Queue, wanted: QueueFilter | None, required_reviews: int | None, ways: Ways | None
) -> None:
    before = _settled_parts(queue)
    if wanted is not None:
        queue.filter = stored_filter(wanted)
    if required_reviews is not None:
        check_reviews(required_reviews)
        queue.required_reviews = required_reviews
    for name, value in ways.as_row().items() if ways else ():
        setattr(queue, name, value)
    if before == _settled_parts(queue):
        return
    if queue.slots.filter(state=Slot.State.DONE).exists():
        raise ConflictError(
            "What the queue takes and how many reviews it wants cannot change any more: "
            "somebody has decided in it. Close it, and make another one."
        )
    # The next filling opens those again that still belong here.
    queue.slots.filter(state__in=(Slot.State.OPEN, Slot.State.CLAIMED)).update(
        state=Slot.State.SUPERSEDED,
        reviewer=None,
        lease_token=None,
        lease_until=None,
        required_reviews=Least("required_reviews", queue.required_reviews),
    )
