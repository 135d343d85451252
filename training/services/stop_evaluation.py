"""Stop an evaluation; what was answered and scored stays."""

from __future__ import annotations

import contextlib
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from distill.services.runs import request_stop
from training.launcher import ask_to_stop
from training.logic.layout import EvaluationLayout
from training.models import Evaluation


def stop_evaluation(*, evaluation_id: int) -> bool:
    """End an evaluation that is queued or going on; False if it had ended.

    Its process and its scoring runs are asked to end; whoever follows it lets it go within a
    second.
    """
    active = Evaluation.objects.filter(pk=evaluation_id, state__in=Evaluation.ACTIVE)
    stopped = active.update(
        state=Evaluation.State.STOPPED,
        finished_at=timezone.now(),
        message="Stopped on request; evaluating again goes on from here.",
    )
    if not stopped:
        return False
    evaluation = Evaluation.objects.get(pk=evaluation_id)
    # Where there is no folder, there is no process on this host.
    with contextlib.suppress(OSError):
        ask_to_stop(EvaluationLayout(Path(settings.DATA_DIR) / evaluation.folder))
    for run_id in evaluation.contenders.filter(run__isnull=False).values_list("run", flat=True):
        request_stop(run_id=run_id)
    return True
