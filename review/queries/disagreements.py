"""Completions on which people disagree: they have no label and await an adjudication."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.db import connection

from distill.models import Completion, Decision
from review.models import Queue
from review.queries.counts import CAP
from review.queries.matching import standing_verdicts

SHOWN = 50

# What has its reviews and no label. One decision more or less of each kind makes no difference: as
# long as a slot is open or held, another person is still to be heard.
_DISAGREED = """
SELECT DISTINCT queue.id AS queue_id, done.completion_id
FROM unnest(%(queues)s::bigint[]) AS queue (id)
CROSS JOIN LATERAL (
  SELECT completion_id FROM review_slot
  WHERE queue_id = queue.id AND state = 'done' LIMIT %(cap)s
) AS done
WHERE NOT EXISTS (SELECT FROM distill_label WHERE completion_id = done.completion_id)
  AND NOT EXISTS (
    SELECT FROM review_slot AS slot
    WHERE slot.completion_id = done.completion_id AND slot.queue_id = queue.id
      AND slot.state IN ('open', 'claimed')
  )
  AND 2 = (
    SELECT count(DISTINCT decision.kind = 'reject') FROM distill_decision AS decision
    WHERE decision.completion_id = done.completion_id
      AND decision.kind IN ('accept', 'edit', 'reject') AND NOT decision.is_legacy
      AND NOT EXISTS (
        SELECT FROM distill_decision AS undo WHERE undo.undoes_id = decision.id
      )
  )
ORDER BY done.completion_id
"""
_COUNT = "SELECT queue_id, count(*) FROM ({disagreed}) AS disagreed GROUP BY queue_id"


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One completion and what people said of it, in the order in which they did."""

    completion: Completion
    decisions: Sequence[Decision]


def disagreed_ids(*, queue_id: int) -> list[int]:
    """The completions of the queue that people disagree on; of its first `CAP` decided slots."""
    with connection.cursor() as cursor:
        cursor.execute(_DISAGREED, {"queues": [queue_id], "cap": CAP})
        return [completion_id for _, completion_id in cursor.fetchall()]


def count_disagreed(queues: Collection[Queue]) -> dict[int, int]:
    """By queue: how many, where any; only of datasets with a queue that wants several reviews."""
    with_several = {queue.dataset_id for queue in queues if queue.required_reviews > 1}
    asked = [queue.pk for queue in queues if queue.dataset_id in with_several]
    with connection.cursor() as cursor:
        cursor.execute(_COUNT.format(disagreed=_DISAGREED), {"queues": asked, "cap": CAP})
        return dict(cursor.fetchall())


def first_disagreements(completion_ids: Sequence[int]) -> list[Disagreement]:
    """The first `SHOWN` of them with their decisions, in two queries."""
    ids = completion_ids[:SHOWN]
    completions = Completion.objects.filter(pk__in=ids).select_related("sample").order_by("pk")
    decisions: dict[int, list[Decision]] = defaultdict(list)
    standing = standing_verdicts().filter(completion__in=ids, is_legacy=False)
    for decision in standing.select_related("reviewer").order_by("id"):
        decisions[decision.completion_id].append(decision)
    return [Disagreement(completion, decisions[completion.pk]) for completion in completions]
