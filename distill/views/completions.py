"""Completions: found by what they are, told with their whole history, downloaded."""

from __future__ import annotations

from django.http import HttpResponse, HttpResponseBadRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from distill.forms.completions import CompletionFilterForm, read_after
from distill.http import AuthedRequest, render_partial, require_role
from distill.models import Completion
from distill.queries.completion_rows import as_csv, as_jsonl
from distill.queries.completions import (
    MAX_COUNTED,
    WINDOW,
    count_completions,
    each_completion,
    find_completions,
    find_unanswered,
)
from distill.queries.draws import last_draw
from distill.queries.history import completion_history

_FORMATS = {
    "jsonl": (as_jsonl, "application/x-ndjson; charset=utf-8"),
    "csv": (as_csv, "text/csv; charset=utf-8"),
}


@require_role("lead", "operator")
@require_safe
def completions(request: AuthedRequest) -> HttpResponse:
    """A page of the completions that match the filter, newest first."""
    form = CompletionFilterForm(request.GET)
    after = read_after(request.GET.get("after"))
    context: dict[str, object] = {"form": form, "max_counted": MAX_COUNTED, "window": WINDOW}
    if form.is_valid() and form.is_without_completion:
        run_id, state = form.cleaned_data["run"], form.cleaned_data["state"]
        context["unanswered"] = find_unanswered(run_id=run_id, state=state, after=after)
    elif form.is_valid():
        context["page"] = find_completions(form.wanted, after=after)
        context["count"] = count_completions(form.wanted)
    return render_partial(request, "distill/completions.html", context, partial="found")


@require_role("lead", "operator")
@require_safe
def completion(request: AuthedRequest, pk: int) -> HttpResponse:
    """One completion, with every attempt of its sample × draw."""
    found = get_object_or_404(
        Completion.objects.select_related("sample__dataset", "sample__source_file").annotate(
            last_draw=last_draw("sample")
        ),
        pk=pk,
    )
    history = completion_history(found, now=timezone.now())
    return render(request, "distill/completion.html", {"completion": found, "history": history})


@require_role("lead", "operator")
@require_safe
def download_completions(request: AuthedRequest) -> HttpResponseBase:
    """Everything that the filter finds, as JSONL or CSV, streamed."""
    form = CompletionFilterForm(request.GET)
    kind = request.GET.get("format", "jsonl")
    if not form.is_valid() or form.is_without_completion or kind not in _FORMATS:
        return HttpResponseBadRequest("This filter finds nothing that can be downloaded.")
    write, content_type = _FORMATS[kind]
    return StreamingHttpResponse(
        write(each_completion(form.wanted)),
        content_type=content_type,
        headers={"Content-Disposition": f'attachment; filename="completions.{kind}"'},
    )
