"""What the `pipeline` cluster does for the queues."""

from __future__ import annotations

from django.utils import timezone

from distill.tasks import enqueue
from review.services.fill import fill_queue
from review.services.follow import follow_runs, open_missing_queues
from review.services.release import release_expired


def enqueue_fill(queue_id: int) -> None:
    """Let a worker open the slots of a queue that takes more than a page can wait for."""
    enqueue(run_fill, queue_id)


def run_fill(queue_id: int) -> None:
    """Open the slots of one queue; the second time there is nothing to do."""
    fill_queue(queue_id=queue_id)


def run_follow() -> None:
    """Bring the queues up to date with the gate, and open what was claimed and left.

    The second time there is nothing to do.
    """
    release_expired(now=timezone.now())
    open_missing_queues()
    follow_runs()
