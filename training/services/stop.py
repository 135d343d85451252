"""Ask a training run to stop."""

from __future__ import annotations

from django.utils import timezone

from training.models import TrainingRun

_State = TrainingRun.State


def request_stop(*, training_run_id: int) -> bool:
    """Ask for an orderly end, with a checkpoint; who follows the run sees it within a second.

    One that has not begun is stopped at once. False if it was not active, or was asked before.
    """
    run = TrainingRun.objects.filter(pk=training_run_id)
    if run.filter(state=_State.QUEUED).update(
        state=_State.STOPPED, finished_at=timezone.now(), message="Stopped before it began."
    ):
        return True
    return bool(
        run.filter(state__in=[_State.PREPARING, _State.RUNNING]).update(state=_State.STOPPING)
    )
