"""Let queues follow the gate without anybody asking."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from distill.models import CompletionState, Dataset, Run
from review.services.fill import fill_queue

RECENT = timedelta(minutes=5)


def open_missing_queues() -> int:
    """Make and fill the queue of every dataset with passed completions and none yet; count slots.

    The first filling of a million completions takes some 20 s, that of a thousand none to speak of.
    """
    passed = CompletionState.objects.filter(
        dataset=OuterRef("pk"), state=CompletionState.State.PASSED, is_open=True
    )
    missing = Dataset.objects.filter(Exists(passed), queue=None)
    return sum(fill_queue(dataset_id=pk) for pk in missing.values_list("pk", flat=True))


def follow_runs() -> int:
    """Fill the queues of datasets whose runs are active or have just ended; count new slots."""
    lately = Q(state__in=Run.ACTIVE) | Q(finished_at__gt=timezone.now() - RECENT)
    datasets = Run.objects.filter(lately).order_by().values_list("dataset", flat=True).distinct()
    return sum(fill_queue(dataset_id=pk) for pk in datasets)
