"""Let queues follow the gate."""

from __future__ import annotations

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, QuerySet

from distill.models import CompletionState
from review.models import Queue, Slot
from review.queries.matching import parts_of

DEFAULT_NAME = "Passed the gate"

_OPEN = """
INSERT INTO review_slot (queue_id, completion_id, number, state, priority, required_reviews)
SELECT %s, fitting.completion_id, wanted.number, 'open', 0, %s
FROM ({fitting}) AS fitting (completion_id)
CROSS JOIN generate_series(1, %s) AS wanted (number)
WHERE NOT EXISTS (
  SELECT FROM review_slot AS slot
  WHERE slot.queue_id = %s AND slot.completion_id = fitting.completion_id
    AND slot.number = wanted.number
)
ORDER BY fitting.completion_id, wanted.number
ON CONFLICT DO NOTHING
"""


def fill_queues(*, dataset_id: int) -> int:
    """Fill each queue of the dataset that is not closed; return how many slots were opened.

    Makes the dataset's own queue, for what passed the gate, where there is none.
    """
    Queue.objects.get_or_create(
        dataset_id=dataset_id, is_default=True, defaults={"name": DEFAULT_NAME}
    )
    queues = Queue.objects.filter(dataset=dataset_id, is_closed=False)
    return sum(fill_queue(queue_id=pk) for pk in queues.order_by("id").values_list("id", flat=True))


def fill_queue(*, queue_id: int) -> int:
    """Open a slot for each wanted review of each completion that belongs into the queue.

    Returns how many. What belongs there: what its filter takes, and what passed the gate in the
    place of an attempt that has been there; of both, only the attempt that counts, while it lacks
    reviews. The open slots of all others are closed, and open again if that is taken back. Call it
    as often as you like: what is there already stays as it is. A queue that is closed, or gone
    meanwhile, is left alone.
    """
    with transaction.atomic():
        # One filling of a queue at a time, and none while what it takes is being changed.
        queues = Queue.objects.select_for_update(no_key=True)
        queue = queues.filter(pk=queue_id, is_closed=False).first()
        if queue is None:
            return 0
        parts = parts_of(queue)
        _close_others(queue, parts)
        return _open_again(queue, parts) + sum(_open_missing(queue, part) for part in parts)


def _belongs(part: QuerySet[CompletionState]) -> Exists:
    return Exists(part.filter(completion=OuterRef("completion")))


def _close_others(queue: Queue, parts: list[QuerySet[CompletionState]]) -> int:
    # Each part by itself and nothing beside them: so the database joins, and asks not slot by slot.
    belongs_nowhere = [~_belongs(part) for part in parts]
    stale = Slot.objects.filter(*belongs_nowhere, queue=queue, state=Slot.State.OPEN)
    return _unlocked(stale).update(state=Slot.State.SUPERSEDED)


def _open_again(queue: Queue, parts: list[QuerySet[CompletionState]]) -> int:
    slots = Slot.objects.filter(
        queue=queue, state=Slot.State.SUPERSEDED, number__lte=queue.required_reviews
    )
    return sum(
        _unlocked(slots.filter(_belongs(part))).update(
            state=Slot.State.OPEN, reviewer=None, lease_token=None, lease_until=None, decision=None
        )
        for part in parts
    )


def _unlocked(slots: QuerySet[Slot]) -> QuerySet[Slot]:
    """Those that nobody is deciding at this moment; the next filling looks at the others."""
    free = slots.select_for_update(skip_locked=True, of=("self",))
    return Slot.objects.filter(pk__in=list(free.values_list("pk", flat=True)))


def _open_missing(queue: Queue, part: QuerySet[CompletionState]) -> int:
    fitting, params = part.values_list("completion_id").query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(
            _OPEN.format(fitting=fitting),
            [
                queue.pk,
                queue.required_reviews,
                *params,
                queue.required_reviews,
                queue.pk,
            ],
        )
        return int(cursor.rowcount)
