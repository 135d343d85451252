"""What a run still has to do, in the slim form in which it is worked on."""

from __future__ import annotations

from distill.logic.types import CompletionText, SampleText
from distill.models import SampleDraw
from distill.services.orders import Job, Work

_SAMPLE = ("id", "key", "text", "template_name", "domain", "instruction", "title")
_COMPLETION = (
    *("id", "attempt", "template_name", "text", "fields", "finish_reason"),
    "completion_tokens",
)
_COLUMNS = (
    *("id", "draw", "verdict_id"),
    *(f"sample__{name}" for name in _SAMPLE),
    *(f"completion__{name}" for name in _COMPLETION),
)
_ROW, _WITH_SAMPLE = 3, 3 + len(_SAMPLE)


def fetch_pending(job: Job, *, after_id: int, last_id: int, limit: int) -> list[Work]:
    """The next sample × draws of the run that are pending: after one SampleDraw, up to another.

    Each with its sample, and with the completion from which its work goes on, where there is one.
    """
    rows = SampleDraw.objects.filter(
        run=job.run_id, state=SampleDraw.State.PENDING, id__gt=after_id, id__lte=last_id
    )
    return [
        Work(
            row_id=row[0],
            draw=row[1],
            verdict_id=row[2],
            sample=SampleText(*row[_ROW:_WITH_SAMPLE]),
            completion=None if row[_WITH_SAMPLE] is None else CompletionText(*row[_WITH_SAMPLE:]),
        )
        for row in rows.order_by("id").values_list(*_COLUMNS)[:limit]
    ]
