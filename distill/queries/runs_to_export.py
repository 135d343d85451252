"""Whole pipelines whose recipe exports what passed, and that nobody has exported yet."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef
from django.utils import timezone

from distill.models import Export, Run, RunEvent

_LOOKED_BACK = timedelta(days=1)


def runs_to_export(*, ended_before: datetime | None = None) -> list[int]:
    """The ids of runs of the last day that are done and whose log says nothing of an export.

    Whatever is written into a run's log after its end is about its export: that it was made, or
    why not.
    """
    told = RunEvent.objects.filter(run=OuterRef("pk"), at__gt=OuterRef("finished_at"))
    done = Run.objects.filter(
        ~Exists(told),
        kind=Run.Kind.PIPELINE,
        state=Run.State.DONE,
        recipe__document__export__policy=Export.Policy.GATE,
        finished_at__gt=timezone.now() - _LOOKED_BACK,
    )
    if ended_before is not None:
        done = done.filter(finished_at__lt=ended_before)
    return list(done.order_by("id").values_list("id", flat=True))
