"""Delete a dataset with everything that belongs to it, in small transactions.

Whatever part was deleted when it is interrupted stays deleted; deleting again goes on. Replies go
when nothing refers to their call any more; those that another dataset uses stay. Files of exports
on disk are not touched: they were handed out.
"""

from __future__ import annotations

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef

from distill.logic.errors import ConflictError
from distill.models import (
    Call,
    Completion,
    Dataset,
    Judgement,
    Purchase,
    Run,
    Sample,
    SourceFile,
)
from distill.services.ingest.run import import_lock

_BATCH = 500


def delete_dataset(*, dataset_id: int) -> None:
    """Delete the dataset; one that is gone already is fine.

    Raises `ConflictError` while a run works on it or a file is imported into it.
    """
    dataset = Dataset.objects.filter(pk=dataset_id).first()
    if dataset is None:
        return
    with import_lock(dataset_id, wait=False):
        if Run.objects.filter(dataset=dataset, state__in=Run.ACTIVE).exists():
            raise ConflictError(f"A run works on {dataset}. Stop it, then delete the dataset.")
        while _delete_some(dataset):
            pass
        while calls := _unanswered_calls(dataset):
            _forget_calls(calls)
        # Its runs, exports, files and queue; calls only lose the run that bought them.
        dataset.delete()


def _delete_some(dataset: Dataset) -> bool:
    with transaction.atomic():
        ids = list(
            Sample.objects.filter(dataset=dataset)
            .order_by("pk")
            .values_list("pk", flat=True)[:_BATCH]
        )
        completions = Completion.objects.filter(sample__in=ids)
        calls = set(completions.values_list("call", flat=True))
        judged = Judgement.objects.filter(completion__sample__in=ids)
        calls.update(judged.values_list("call", flat=True))
        Sample.objects.filter(pk__in=ids).delete()
    _forget_calls({call for call in calls if call is not None})
    return bool(ids)


def _unanswered_calls(dataset: Dataset) -> set[int]:
    """Some of the calls that its runs alone have sent, and that nothing came of."""
    sent = Purchase.objects.filter(call=OuterRef("pk"))
    own = Run.objects.filter(dataset=dataset).values("pk")
    calls = Call.objects.filter(
        Exists(sent.filter(run__in=own)),
        ~Exists(sent.exclude(run__in=own)),
        completions__isnull=True,
        judgements__isnull=True,
    )
    return set(calls.values_list("pk", flat=True)[:_BATCH])


def _forget_calls(calls: set[int]) -> None:
    unused = Call.objects.filter(pk__in=calls, completions__isnull=True, judgements__isnull=True)
    try:
        with transaction.atomic():
            unused.delete()
    except IntegrityError:
        # Another run has just taken one of them up: it stays, and so do the others of this batch.
        return


def is_large(dataset_id: int) -> bool:
    """Whether deleting takes longer than a person waits."""
    files = SourceFile.objects.filter(dataset=dataset_id)
    return sum(files.values_list("rows_kept", flat=True)) > 2_000
