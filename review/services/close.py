"""Close a queue, or open it again."""

from __future__ import annotations

from review.models import Queue


def close_queue(*, queue_id: int) -> bool:
    """Give out no further cards; those that are held can be decided. False if it was closed."""
    return Queue.objects.filter(pk=queue_id, is_closed=False).update(is_closed=True) == 1


def reopen_queue(*, queue_id: int) -> bool:
    """Give out cards again. False if it was open."""
    return Queue.objects.filter(pk=queue_id, is_closed=True).update(is_closed=False) == 1
