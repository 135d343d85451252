"""Let queues follow the gate."""

from __future__ import annotations

from django.db import connection, transaction

from review.models import Queue
from review.queries.planned import Planned, planned_slots

DEFAULT_NAME = "Passed the gate"

# A slot that somebody is deciding at this moment is stepped over: the next filling looks at it.
_CLOSE = """
UPDATE review_slot SET state = 'superseded'
WHERE id IN (
  SELECT slot.id FROM review_slot AS slot
  WHERE slot.queue_id = %s AND slot.state = 'open' AND NOT EXISTS (
    SELECT FROM {planned}
    WHERE planned.completion_id = slot.completion_id
      AND planned.rival_id IS NOT DISTINCT FROM slot.rival_id
  )
  FOR UPDATE OF slot SKIP LOCKED
)
"""

# What is open already gets the place that it has by now: a flag may have been raised since.
_RENEW = """
WITH stale AS (
  SELECT slot.id, slot.state AS was, planned.*
  FROM review_slot AS slot
  JOIN {planned} ON planned.completion_id = slot.completion_id
  WHERE slot.queue_id = %s AND slot.state IN ('open', 'superseded')
    AND slot.number <= planned.num_slots
    AND (
      slot.state, slot.rival_id, slot.required_reviews, slot.priority, slot.why, slot.is_random
    ) IS DISTINCT FROM (
      'open', planned.rival_id, planned.required_reviews, planned.priority, planned.why,
      planned.is_random
    )
  FOR UPDATE OF slot SKIP LOCKED
), renewed AS (
  UPDATE review_slot AS slot
  SET state = 'open', reviewer_id = NULL, lease_token = NULL, lease_until = NULL,
    decision_id = NULL, judge_seen = FALSE, rival_id = stale.rival_id,
    required_reviews = stale.required_reviews, priority = stale.priority, why = stale.why,
    is_random = stale.is_random
  FROM stale
  WHERE slot.id = stale.id
  RETURNING stale.was
)
SELECT count(*) FROM renewed WHERE was = 'superseded'
"""

_OPEN = """
INSERT INTO review_slot (
  queue_id, completion_id, rival_id, number, state, required_reviews, priority, why, is_random
)
SELECT %s, planned.completion_id, planned.rival_id, wanted.number, 'open',
  planned.required_reviews, planned.priority, planned.why, planned.is_random
FROM {planned}
CROSS JOIN LATERAL generate_series(1, planned.num_slots) AS wanted (number)
WHERE NOT EXISTS (
  SELECT FROM review_slot AS slot
  WHERE slot.queue_id = %s AND slot.completion_id = planned.completion_id
    AND slot.number = wanted.number
)
ORDER BY planned.completion_id, wanted.number
ON CONFLICT DO NOTHING
"""


_MANY = 1_000


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
    reviews; and its gold. The open slots of all others are closed, and open again if that is taken
    back. Call it as often as you like: what is there already only gets the priority that it has by
    now. A queue that is closed, or gone meanwhile, is left alone.
    """
    with transaction.atomic():
        # One filling of a queue at a time, and none while what it takes is being changed.
        queues = Queue.objects.select_for_update(no_key=True)
        queue = queues.filter(pk=queue_id, is_closed=False).first()
        if queue is None:
            return 0
        planned = planned_slots(queue)
        _close_others(queue, planned)
        return _renew(queue, planned) + _open_missing(queue, planned)


def _close_others(queue: Queue, planned: Planned) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_CLOSE.format(planned=planned.table), [queue.pk, *planned.params])


def _renew(queue: Queue, planned: Planned) -> int:
    """Open those again that were closed, and count them."""
    with connection.cursor() as cursor:
        cursor.execute(_RENEW.format(planned=planned.table), [*planned.params, queue.pk])
        (num,) = cursor.fetchone()
        return int(num)


def _open_missing(queue: Queue, planned: Planned) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_OPEN.format(planned=planned.table), [queue.pk, *planned.params, queue.pk])
        num_opened = int(cursor.rowcount)
        if num_opened > _MANY:
            # Else the planner thinks of an empty table until the database looks by itself.
            cursor.execute("ANALYZE review_slot")
        return num_opened
