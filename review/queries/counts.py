"""How much a queue holds and what became of it. No count goes beyond `CAP`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Count, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from distill.models import Decision
from review.models import Slot

CAP = 10_000
"""Counting more takes longer than a card may take; pages say "10,000+"."""

_SLOTS = """
SELECT queue.id,
  (SELECT count(*) FROM (
     SELECT FROM review_slot WHERE queue_id = queue.id AND state = 'open' LIMIT %(cap)s) AS capped),
  (SELECT count(*) FROM review_slot WHERE queue_id = queue.id AND state = 'claimed'),
  (SELECT count(*) FROM (
     SELECT FROM review_slot WHERE queue_id = queue.id AND state = 'done' LIMIT %(cap)s) AS capped)
FROM unnest(%(queues)s::bigint[]) AS queue (id)
"""


@dataclass(frozen=True, slots=True)
class SlotCounts:
    """The slots of one queue by state."""

    open: int = 0
    claimed: int = 0
    done: int = 0

    @property
    def awaiting(self) -> int:
        return self.open + self.claimed

    @property
    def total(self) -> int:
        return self.open + self.claimed + self.done

    @property
    def is_open_capped(self) -> bool:
        """More are open than were counted."""
        return self.open == CAP

    @property
    def is_done_capped(self) -> bool:
        return self.done == CAP

    @property
    def is_capped(self) -> bool:
        return self.is_open_capped or self.is_done_capped


@dataclass(frozen=True, slots=True)
class Decided:
    """Decisions that stand: everybody's and one's own."""

    all: int = 0
    mine: int = 0


def slot_counts(queue_ids: Collection[int]) -> dict[int, SlotCounts]:
    """The counts of each queue, in one question to the database."""
    with connection.cursor() as cursor:
        cursor.execute(_SLOTS, {"queues": list(queue_ids), "cap": CAP})
        return {queue_id: SlotCounts(*counts) for queue_id, *counts in cursor.fetchall()}


def decided_since(*, since: datetime, reviewer: User) -> dict[int, Decided]:
    """By queue: how many were accepted or rejected since `since` and not taken back."""
    by_queue = (
        _decided_since(Decision.objects.all(), since)
        .order_by()
        .values_list("slot__queue")
        .annotate(num_all=Count("id"), num_mine=Count("id", filter=Q(reviewer=reviewer)))
    )
    return {queue_id: Decided(*counts) for queue_id, *counts in by_queue}


def my_decisions_since(*, since: datetime, reviewer: User) -> int:
    """How many the person has accepted or rejected since `since`, in all queues."""
    return _decided_since(Decision.objects.filter(reviewer=reviewer), since).count()


def _decided_since(decisions: QuerySet[Decision], since: datetime) -> QuerySet[Decision]:
    """Those that took a slot and have it still: what was undone or imported has none."""
    in_queues = decisions.filter(slot__isnull=False)
    # The ids of these follow time: walking back to the last one before `since` reads no older ones.
    before = in_queues.filter(created_at__lt=since).order_by("-id").values("id")[:1]
    return in_queues.filter(id__gt=Coalesce(Subquery(before), 0))


def next_free_at(*, queue_id: int) -> datetime | None:
    """When the first of the leases ends."""
    claimed = Slot.objects.filter(queue=queue_id, state=Slot.State.CLAIMED)
    first = claimed.order_by("lease_until").values_list("lease_until", flat=True).first()
    return first or None
