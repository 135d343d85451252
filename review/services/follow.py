"""Let queues follow the gate without anybody asking."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from distill.models import CompletionState, Dataset, Run
from distill.services.ingest.datasets import MADE_FOR_A_FILE
from review.services.fill import fill_queues

RECENT = timedelta(minutes=5)

# Each stage in file form makes a dataset of its table, so that the same completions stand in
# several: nobody shall review them twice. The whole pipeline over a file is wanted for review.
_ONE_STAGES_TABLE = MADE_FOR_A_FILE & ~Exists(
    Run.objects.filter(dataset=OuterRef("pk"), kind=Run.Kind.PIPELINE)
)


def open_missing_queues() -> int:
    """Make and fill the queue of every dataset with passed completions and none yet; count slots.

    The first filling of a million completions takes some 20 s, that of a thousand none to speak of.
    """
    passed = CompletionState.objects.filter(
        dataset=OuterRef("pk"), state=CompletionState.State.PASSED, is_open=True
    )
    missing = (
        Dataset.objects.filter(Exists(passed))
        .exclude(queues__is_default=True)
        .exclude(_ONE_STAGES_TABLE)
    )
    return sum(fill_queues(dataset_id=pk) for pk in missing.values_list("pk", flat=True))


def follow_runs() -> int:
    """Fill the queues of datasets whose runs are active or have just ended; count new slots."""
    lately = Q(state__in=Run.ACTIVE) | Q(finished_at__gt=timezone.now() - RECENT)
    running = Run.objects.filter(lately).values("dataset")
    datasets = Dataset.objects.filter(pk__in=running).exclude(_ONE_STAGES_TABLE)
    return sum(fill_queues(dataset_id=pk) for pk in datasets.values_list("pk", flat=True))
