"""Let a queue follow the gate."""

from __future__ import annotations

from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from distill.models import CompletionState
from review.models import Queue, Slot

_OPEN = """
INSERT INTO review_slot (queue_id, completion_id, number, state, priority)
SELECT %(queue)s, state.completion_id, wanted.number, 'open', 0
FROM distill_completionstate AS state
CROSS JOIN generate_series(1, %(reviews)s) AS wanted (number)
WHERE state.dataset_id = %(dataset)s AND state.state = 'passed' AND state.is_open
  AND NOT EXISTS (
    SELECT FROM distill_label AS label WHERE label.completion_id = state.completion_id
  )
  AND NOT EXISTS (
    SELECT FROM review_slot AS slot
    WHERE slot.completion_id = state.completion_id AND slot.number = wanted.number
  )
ORDER BY state.completion_id, wanted.number
ON CONFLICT DO NOTHING
"""


def fill_queue(*, dataset_id: int) -> int:
    """Open a slot for each wanted review of each completion that passed; return how many.

    Makes the dataset's queue where there is none, and closes the open slots of completions that a
    later attempt has replaced, or that the gate has rejected since; they open again if that is
    taken back. Call it as often as you like: what is there already stays as it is.
    """
    with transaction.atomic():
        queue, _ = Queue.objects.get_or_create(
            dataset_id=dataset_id, is_default=True, defaults={"name": "Passed the gate"}
        )
        _close_superseded(queue)
        return _open_again(queue) + _open_missing(queue)


def _passed() -> Exists:
    return Exists(
        CompletionState.objects.filter(
            completion=OuterRef("completion"), is_open=True, state=CompletionState.State.PASSED
        )
    )


def _close_superseded(queue: Queue) -> int:
    stale = Slot.objects.filter(~_passed(), queue=queue, state=Slot.State.OPEN)
    return stale.update(state=Slot.State.SUPERSEDED)


def _open_again(queue: Queue) -> int:
    back = Slot.objects.filter(
        _passed(), queue=queue, state=Slot.State.SUPERSEDED, completion__label=None
    )
    return back.update(
        state=Slot.State.OPEN, reviewer=None, lease_token=None, lease_until=None, decision=None
    )


def _open_missing(queue: Queue) -> int:
    wanted = {
        "queue": queue.pk,
        "dataset": queue.dataset_id,
        "reviews": queue.required_reviews,
    }
    with connection.cursor() as cursor:
        cursor.execute(_OPEN, wanted)
        return int(cursor.rowcount)
