"""Make the run that scores the answers of a student or base: rules, judges and gate, no more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.db import transaction

from distill.models import Completion, Dataset, Recipe, Run, SampleDraw
from distill.services.chunks import cut_chunks
from distill.services.runs import create_run

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def score_answers(
    *,
    dataset: Dataset,
    recipe: Recipe,
    completions: Sequence[Completion],
    user: User | None = None,
) -> Run:
    """Return a queued run over exactly these completions; nothing is asked yet.

    It appears with all its sample draws at once: a worker that finds it has nothing to look for.
    At most one request of each judge for each completion is sent, which is the run's limit.
    """
    with transaction.atomic():
        run = create_run(
            dataset=dataset,
            recipe=recipe,
            kind=Run.Kind.EVALUATE,
            sample_limit=len(completions),
            user=user,
        )
        rows = SampleDraw.objects.bulk_create(
            SampleDraw(run=run, sample=completion.sample, draw=0, completion=completion)
            for completion in completions
        )
        cut_chunks(run=run, ids=[row.id for row in rows])
        Run.objects.filter(pk=run.pk).update(is_populated=True)
    run.is_populated = True
    return run
