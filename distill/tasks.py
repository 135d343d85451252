"""What the `pipeline` cluster does: short steps that may run twice, found again if they are lost.

Only views, commands and tasks enqueue; services never do.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone
from django_q.models import Schedule
from django_q.tasks import async_task

from distill.logic.errors import ConflictError, DistillError
from distill.models import Dataset, Run, SourceFile
from distill.queries.runs_to_export import runs_to_export
from distill.services.delete_dataset import delete_dataset
from distill.services.export import export_dataset
from distill.services.export_run import export_run, note_failed_export
from distill.services.ingest import discard_upload, fill_source_file, upload_path
from distill.services.labels import export_labels
from distill.services.shifts import missing_workers
from distill.services.snapshots import take_snapshot
from distill.services.step import run_step

CLUSTER = "pipeline"
_EXPORT_GRACE = timedelta(minutes=2)
"""So long a task for an export may wait before it counts as lost."""
EXPORTED_AT_ONCE = 2_000
"""So many rows are written while the person waits (about a second); more go to the workers."""
logger = logging.getLogger(__name__)


def enqueue(function: Callable[..., None], *arguments: object) -> None:
    """Hand a task of ours to the `pipeline` cluster. The function itself, never its name."""
    async_task(function, *arguments, cluster=CLUSTER)


def enqueue_run(run_id: int) -> None:
    """Let as many workers as the run wants take their next step of it."""
    workers = Run.objects.filter(id=run_id).values_list("workers", flat=True).first() or 0
    for _ in range(workers):
        enqueue(run_run, run_id)


def run_run(run_id: int) -> None:
    """Take one step of a run, and enqueue what follows from it.

    That is the next step as soon as this one stops feeding, or where it is the last and leaves
    something to do; after a whole pipeline whose recipe exports what passed the gate, the export.
    """
    state = run_step(
        run_id,
        is_stopping=settings.STOP_FILE.exists,
        on_hand_over=lambda: _enqueue_step(run_id),
    )
    if state == Run.State.QUEUED:
        _enqueue_step(run_id)
    if state == Run.State.DONE and run_id in runs_to_export():
        enqueue(run_export_of_run, run_id)


def _enqueue_step(run_id: int) -> None:
    """Let one worker go on, unless all of them are about to end: at the next start they go on."""
    if not settings.STOP_FILE.exists():
        enqueue(run_run, run_id)


def enqueue_active_runs() -> None:
    """Enqueue every active run: at a start, those of workers that have just died become free soon.

    A step whose run is held by a living worker ends within a second or two.
    """
    for run_id in Run.objects.filter(state__in=Run.ACTIVE).values_list("id", flat=True):
        enqueue_run(run_id)


def enqueue_stale_runs() -> None:
    """Enqueue the steps that active runs lack: they were lost, or never enqueued.

    The export that a run asks for at its end may have been lost in the same way.
    """
    for run_id, missing in missing_workers().items():
        for _ in range(missing):
            enqueue(run_run, run_id)
    for run_id in runs_to_export(ended_before=timezone.now() - _EXPORT_GRACE):
        enqueue(run_export_of_run, run_id)


def run_export_of_run(run_id: int) -> None:
    """Export what a whole pipeline passed, and say so in its log; a second delivery does nothing."""
    export_run(run_id=run_id)


def enqueue_export(
    dataset_id: int,
    policy: str,
    user_id: int | None = None,
    configs: Sequence[str] = (),
    rows_per_shard: int | None = None,
) -> None:
    """Let a worker write an export; what is not said is as the recipe has it."""
    enqueue(run_export, dataset_id, policy, user_id, list(configs), rows_per_shard)


def run_export(
    dataset_id: int,
    policy: str,
    user_id: int | None = None,
    configs: Sequence[str] = (),
    rows_per_shard: int | None = None,
) -> None:
    """Write an export of the dataset; the same rows again change nothing.

    Where nothing is eligible any more, or the disk is full, the page of the exports says so.
    """
    dataset = Dataset.objects.filter(pk=dataset_id).first()
    if dataset is None:
        return
    user = User.objects.filter(pk=user_id or 0).first()
    try:
        export_dataset(
            dataset=dataset,
            policy=policy,
            user=user,
            configs=configs,
            rows_per_shard=rows_per_shard,
        )
    except DistillError as error:
        logger.warning("No export of %s: %s", dataset, error)
        note_failed_export(dataset=dataset, why=str(error))


def enqueue_export_labels(dataset_id: int) -> None:
    """Let a worker write a dataset's label files."""
    enqueue(run_export_labels, dataset_id)


def run_export_labels(dataset_id: int) -> None:
    """Write a dataset's label files; again gives the same. What stands in the way is logged."""
    dataset = Dataset.objects.filter(pk=dataset_id).first()
    if dataset is None:
        return
    try:
        export_labels(dataset=dataset)
    except DistillError as error:
        logger.warning("No label files of %s: %s", dataset, error)


def schedule_minutely(function: Callable[[], None]) -> None:
    """Let some host with a `pipeline` cluster call the task once a minute; twice is harmless."""
    path = f"{function.__module__}.{function.__qualname__}"
    if not Schedule.objects.filter(func=path).exists():
        Schedule.objects.create(
            name=function.__name__.replace("_", " "),
            func=path,
            schedule_type=Schedule.MINUTES,
            minutes=1,
            cluster=CLUSTER,
        )


def enqueue_import(source_file_id: int, upload: str) -> None:
    """Let a worker import an uploaded file."""
    enqueue(run_import, source_file_id, upload)


def run_import(source_file_id: int, upload: str) -> None:
    """Import an uploaded file. A second delivery waits for the first, then finds it done."""
    source_file = SourceFile.objects.filter(pk=source_file_id).first()
    if source_file is None or source_file.state == SourceFile.State.DONE:
        return
    # What is wrong with the file stands in its record, where people see it.
    with contextlib.suppress(DistillError):
        fill_source_file(source_file=source_file, path=upload_path(upload))
    discard_upload(upload=upload)


def enqueue_delete_dataset(dataset_id: int) -> None:
    """Let a worker delete a large dataset."""
    enqueue(run_delete_dataset, dataset_id)


def run_delete_dataset(dataset_id: int) -> None:
    """Delete a dataset; a second delivery finds nothing left."""
    with contextlib.suppress(ConflictError):
        delete_dataset(dataset_id=dataset_id)


def enqueue_snapshot(dataset_id: int) -> None:
    """Let a worker take a dataset's snapshot for what-if questions."""
    enqueue(snapshot, dataset_id)


def snapshot(dataset_id: int) -> None:
    """Take it; a dataset that is gone meanwhile needs none."""
    dataset = Dataset.objects.filter(pk=dataset_id).first()
    if dataset is not None:
        take_snapshot(dataset=dataset)
