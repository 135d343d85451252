"""The list of queues, and what one of them is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User

from review.models import Queue, Slot
from review.queries.counts import Decided, SlotCounts, decided_since, slot_counts
from review.queries.disagreements import (
    Disagreement,
    count_disagreed,
    disagreed_ids,
    first_disagreements,
)
from review.queries.guidelines import Guidelines, guidelines_of
from review.queries.matching import queue_filter


@dataclass(frozen=True, slots=True)
class QueueLine:
    """One queue of the list, and how far it is."""

    queue: Queue
    counts: SlotCounts
    today: Decided
    num_disagreed: int = 0

    @property
    def takes(self) -> str:
        """Its filter in words."""
        return queue_filter(self.queue).describe()


@dataclass(frozen=True, slots=True)
class QueueOverview:
    """One queue as its page shows it to this person; disagreements only to who may see them."""

    line: QueueLine
    guidelines: Guidelines
    has_decision: bool
    disagreements: Sequence[Disagreement]


def queue_lines(
    *, reviewer: User, midnight: datetime, count: int = 100, with_closed: bool = False
) -> list[QueueLine]:
    """The newest queues, with what awaits review and what was decided since midnight.

    Closed ones give out nothing, so they are left out unless asked for; then they come last.
    """
    queues = Queue.objects.select_related("dataset").order_by("is_closed", "-id")
    found = list((queues if with_closed else queues.filter(is_closed=False))[:count])
    counts = slot_counts([queue.pk for queue in found])
    today = decided_since(since=midnight, reviewer=reviewer)
    disagreed = count_disagreed(found) if with_closed else {}
    return [
        QueueLine(
            queue, counts[queue.pk], today.get(queue.pk, Decided()), disagreed.get(queue.pk, 0)
        )
        for queue in found
    ]


def queue_overview(
    queue: Queue, *, reader: User, midnight: datetime, with_disagreements: bool
) -> QueueOverview:
    """All that the queue's page shows."""
    disagreed = disagreed_ids(queue_id=queue.pk)
    today = decided_since(since=midnight, reviewer=reader)
    return QueueOverview(
        line=QueueLine(
            queue,
            slot_counts([queue.pk])[queue.pk],
            today.get(queue.pk, Decided()),
            len(disagreed),
        ),
        guidelines=guidelines_of(queue, reader=reader),
        has_decision=has_decision(queue),
        disagreements=first_disagreements(disagreed) if with_disagreements and disagreed else (),
    )


def has_decision(queue: Queue) -> bool:
    """Whether somebody has decided in it: then what it takes is settled."""
    return Slot.objects.filter(queue=queue, state=Slot.State.DONE).exists()
