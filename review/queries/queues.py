"""The list of queues."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User

from review.models import Queue
from review.queries.counts import Decided, SlotCounts, decided_since, slot_counts


@dataclass(frozen=True, slots=True)
class QueueLine:
    """One queue of the list, and how far it is."""

    queue: Queue
    counts: SlotCounts
    today: Decided


def queue_lines(*, reviewer: User, midnight: datetime, count: int = 100) -> list[QueueLine]:
    """The newest queues, with what awaits review and what was decided since midnight."""
    queues = list(Queue.objects.select_related("dataset")[:count])
    counts = slot_counts([queue.pk for queue in queues])
    today = decided_since(since=midnight, reviewer=reviewer)
    return [
        QueueLine(queue, counts[queue.pk], today.get(queue.dataset_id, Decided()))
        for queue in queues
    ]
