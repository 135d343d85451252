"""What the `gpu` cluster does: it follows trainings and evaluations, whose processes live apart.

A task is a nudge that may come twice or get lost; our rows are the truth. The watch, minutely,
nudges whatever is active and followed by nobody.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from django.conf import settings
from django.utils import timezone
from django_q.models import OrmQ
from django_q.tasks import async_task

from training.models import Evaluation, TrainingRun
from training.services.follow import ELSEWHERE, follow_training
from training.services.follow_evaluation import follow_evaluation
from training.services.lease import stale_ids
from training.services.start_process import worker_owner

CLUSTER = "gpu"
STEP_SECONDS = 600
PASS_ON_SECONDS = 2.0
"""A worker of another host takes the nudge meanwhile; this one would only take it again."""


def enqueue(function: Callable[..., None], *arguments: object) -> None:
    """Hand a task of ours to the `gpu` cluster. The function itself, never its name."""
    async_task(function, *arguments, cluster=CLUSTER)


def enqueue_training(training_run_id: int) -> None:
    """Let a worker follow a training, and start it where nobody has."""
    enqueue(run_training, training_run_id)


def run_training(training_run_id: int) -> None:
    """Follow a training for ten minutes at most, and enqueue what comes next.

    That is the next step while it goes on; when it has ended, what waited for its host.
    """
    state = follow_training(
        training_run_id,
        seconds=STEP_SECONDS,
        owner=worker_owner(),
        is_stopping=settings.STOP_FILE.exists,
    )
    if not settings.STOP_FILE.exists():
        _go_on(state, TrainingRun.ACTIVE, enqueue_training, training_run_id)


def enqueue_evaluation(evaluation_id: int) -> None:
    """Let a worker take the next step of an evaluation."""
    enqueue(run_evaluation, evaluation_id)


def run_evaluation(evaluation_id: int) -> None:
    """Work on an evaluation for ten minutes at most, and enqueue what comes next."""
    state = follow_evaluation(
        evaluation_id,
        seconds=STEP_SECONDS,
        owner=worker_owner(),
        is_stopping=settings.STOP_FILE.exists,
    )
    if not settings.STOP_FILE.exists():
        _go_on(state, Evaluation.ACTIVE, enqueue_evaluation, evaluation_id)


def _go_on(
    state: str, active: tuple[str, ...], enqueue_again: Callable[[int], None], pk: int
) -> None:
    if state == ELSEWHERE:
        time.sleep(PASS_ON_SECONDS)
    if state in (*active, ELSEWHERE):
        enqueue_again(pk)
    elif state in (*TrainingRun.State.values, *Evaluation.State.values):
        _enqueue_waiting()


def _enqueue_waiting() -> None:
    """What is queued may begin now; what is not its turn yet says so and ends at once."""
    for run in TrainingRun.objects.filter(state=TrainingRun.State.QUEUED).order_by("id"):
        enqueue_training(run.pk)
    for evaluation in Evaluation.objects.filter(state=Evaluation.State.QUEUED).order_by("id"):
        enqueue_evaluation(evaluation.pk)


def enqueue_active_trainings() -> None:
    """Nudge every active training and evaluation: at a start, those of dead workers become free."""
    for run in TrainingRun.objects.filter(state__in=TrainingRun.ACTIVE).order_by("id"):
        enqueue_training(run.pk)
    for evaluation in Evaluation.objects.filter(state__in=Evaluation.ACTIVE).order_by("id"):
        enqueue_evaluation(evaluation.pk)


def run_watch_trainings() -> None:
    """Nudge every active training and evaluation that nobody follows.

    While due tasks wait for a worker nothing is added: they would only pile up behind it.
    """
    if OrmQ.objects.filter(key=CLUSTER, lock__lte=timezone.now()).exists():
        return
    for training_run_id in stale_ids(TrainingRun):
        enqueue_training(training_run_id)
    for evaluation_id in stale_ids(Evaluation):
        enqueue_evaluation(evaluation_id)
