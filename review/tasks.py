"""What the `pipeline` cluster does for the queues."""

from __future__ import annotations

from django_q.models import Schedule

from distill.tasks import CLUSTER
from review.services.follow import follow_runs, open_missing_queues


def run_follow() -> None:
    """Bring the queues up to date with the gate; the second time there is nothing to do."""
    open_missing_queues()
    follow_runs()


def schedule_follower() -> None:
    """Let the queues follow the gate once a minute."""
    Schedule.objects.update_or_create(
        name="fill review queues",
        defaults={
            "func": f"{run_follow.__module__}.{run_follow.__qualname__}",
            "schedule_type": Schedule.MINUTES,
            "minutes": 1,
            "cluster": CLUSTER,
        },
    )
