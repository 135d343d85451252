"""Take up a training run that has ended before it was done."""

from __future__ import annotations

from training.models import TrainingRun

_State = TrainingRun.State


def resume_training(*, training_run_id: int) -> bool:
    """Queue a stopped, failed or lost run again; it goes on from its newest whole checkpoint.

    False if it is active or done.
    """
    ended = TrainingRun.objects.filter(
        pk=training_run_id, state__in=[_State.STOPPED, _State.FAILED, _State.LOST]
    )
    return bool(
        ended.update(
            state=_State.QUEUED,
            message="",
            host="",
            lease_token=None,
            heartbeat_at=None,
            finished_at=None,
            result={},
        )
    )
