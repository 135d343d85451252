"""What people decided of a dataset, as files: downloads, and written for the commands."""

from __future__ import annotations

from collections.abc import Iterator

from django.contrib import messages
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST, require_safe

from distill import tasks
from distill.http import AuthedRequest, require_role
from distill.logic.errors import DistillError
from distill.models import Dataset, Label
from distill.queries.label_lines import LabelLines, count_labels
from distill.services.labels import export_labels

AT_ONCE = 2_000
"""So many decisions are written while the person waits (about a second); more by the workers."""

_OUTCOMES = {"accepted": Label.Outcome.ACCEPTED, "rejected": Label.Outcome.REJECTED}
_DECISIONS = "decisions"


@require_role("lead", "operator")
@require_safe
def download_labels(request: AuthedRequest, pk: int, name: str) -> HttpResponseBase:
    """The accepted or rejected labels, or every decision that stands, as JSON lines."""
    dataset = get_object_or_404(Dataset, pk=pk)
    if name not in _OUTCOMES and name != _DECISIONS:
        raise Http404(f"There is no label file {name!r}.")
    return StreamingHttpResponse(
        _lines(dataset, name),
        content_type="application/jsonl; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="labels-{pk}-{name}.jsonl"'},
    )


@require_role("lead", "operator")
@require_POST
def write_labels(request: AuthedRequest, pk: int) -> HttpResponse:
    """Write the label files of a dataset below the data folder, where the commands look."""
    dataset = get_object_or_404(Dataset, pk=pk)
    if count_labels(dataset).decisions > AT_ONCE:
        tasks.enqueue_export_labels(dataset.pk)
        messages.info(request, "The label files are being written.")
        return redirect("distill:dataset", pk)
    try:
        written = export_labels(dataset=dataset)
    except DistillError as error:
        messages.error(request, str(error))
    else:
        names = ", ".join(f"{file.path.name} ({file.num_lines:,})" for file in written)
        messages.success(request, f"Written into labels/{dataset.name}/: {names}.")
    return redirect("distill:dataset", pk)


def _lines(dataset: Dataset, name: str) -> Iterator[bytes]:
    lines = LabelLines(dataset)
    if name == _DECISIONS:
        return (line for _day, line in lines.by_day())
    return lines.with_outcome(_OUTCOMES[name])
