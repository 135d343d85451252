"""What the `pipeline` cluster does for the queues."""

from __future__ import annotations

from review.services.follow import follow_runs, open_missing_queues


def run_follow() -> None:
    """Bring the queues up to date with the gate; the second time there is nothing to do."""
    open_missing_queues()
    follow_runs()
