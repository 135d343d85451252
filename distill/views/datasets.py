"""Datasets: the list, one of them with what it holds, its refused rows, deleting it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from distill import tasks
from distill.forms.completions import read_after
from distill.forms.datasets import DeleteDatasetForm, SampleSearchForm
from distill.http import (
    AuthedRequest,
    has_role,
    keyset_page,
    render_partial,
    require_role,
)
from distill.logic.errors import ConflictError
from distill.logic.regeneration import RegenerationConfig
from distill.models import Dataset, Recipe, Run, SourceFile
from distill.queries import datasets as queries
from distill.queries.label_lines import MAX_COUNTED as MAX_LABELS
from distill.queries.label_lines import count_labels
from distill.queries.recipes import suggested_recipe
from distill.queries.rejected import count_rejected
from distill.services.delete_dataset import delete_dataset, is_large
from distill.services.ingest.run import MAX_REFUSED_ROWS

PAGE_SIZE = 20
STOP_POLLING = 286
_REFUSED_FILES = 3


@require_role("lead", "operator")
@require_safe
def datasets(request: AuthedRequest) -> HttpResponse:
    """All datasets, the newest first."""
    page = keyset_page(queries.all_datasets(), after=request.GET.get("after"), size=PAGE_SIZE)
    context = {
        "page": page,
        "datasets": queries.summarise_datasets(page.rows),
        "may_change": has_role(request.user, "operator"),
    }
    return render(request, "distill/datasets.html", context)


@require_role("lead", "operator")
@require_safe
def dataset(request: AuthedRequest, pk: int) -> HttpResponse:
    """One dataset. Its files ask for themselves again while one is being imported."""
    found = get_object_or_404(queries.all_datasets(), pk=pk)
    context: dict[str, object] = {
        "dataset": found,
        "may_change": has_role(request.user, "operator"),
        "may_lead": has_role(request.user, "lead"),
    }
    target = request.htmx.target if request.htmx else None
    if target == "files":
        return _files_again(request, found, context)
    context |= _samples_part(request, found)
    if target != "samples":
        context |= _files_part(found) | _overview_part(found) | _labels_part(found)
    return render_partial(request, "distill/dataset.html", context, partial="samples")


@require_role("lead", "operator")
@require_safe
def download_refused(request: AuthedRequest, pk: int, file_id: int) -> HttpResponseBase:
    """The refused rows of a file that are kept, as CSV."""
    source_file = get_object_or_404(SourceFile, pk=file_id, dataset=pk)
    return StreamingHttpResponse(
        _as_csv(queries.refused_cells(source_file)),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="refused-{file_id}.csv"'},
    )


@require_role("operator")
@require_http_methods(["GET", "HEAD", "POST"])
def delete_dataset_view(request: AuthedRequest, pk: int) -> HttpResponse:
    """Say what would go, and delete it once its name was typed."""
    found = get_object_or_404(Dataset, pk=pk)
    form = DeleteDatasetForm(request.POST or None, dataset=found)
    if request.method == "POST" and form.is_valid() and _delete(request, found, form):
        return redirect("distill:datasets")
    context = {
        "dataset": found,
        "form": form,
        "summary": queries.summarise_dataset(found),
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "distill/dataset_delete.html", context, status=status)


def _delete(request: AuthedRequest, found: Dataset, form: DeleteDatasetForm) -> bool:
    if is_large(found.pk):
        tasks.enqueue_delete_dataset(found.pk)
        messages.info(request, f"{found} is being deleted; it takes a while.")
        return True
    try:
        delete_dataset(dataset_id=found.pk)
    except ConflictError as error:
        form.add_error(None, str(error))
        return False
    messages.success(request, f"{found} was deleted.")
    return True


# --- the parts of a dataset's page ---


def _files_again(
    request: AuthedRequest, found: Dataset, context: dict[str, object]
) -> HttpResponse:
    context |= _files_part(found)
    # When the last import ends, the page as a whole has something new to show.
    if not context["is_importing"]:
        response = HttpResponse(status=STOP_POLLING)
        response["HX-Redirect"] = reverse("distill:dataset", args=[found.pk])
        return response
    return render(request, "distill/dataset.html#files", context)


def _files_part(found: Dataset) -> dict[str, object]:
    files = list(queries.list_source_files(found))
    importing = [file for file in files if file.state == SourceFile.State.IMPORTING]
    refused = [file for file in files if file.rows_refused][:_REFUSED_FILES]
    return {
        "files": files,
        "importing": importing,
        "is_importing": bool(importing),
        "refused": [(file, list(queries.first_refused(file))) for file in refused],
        "max_refused": MAX_REFUSED_ROWS,
    }


def _overview_part(found: Dataset) -> dict[str, object]:
    rows = queries.count_rows(found)
    url = f"{reverse('distill:completions')}?{urlencode({'dataset': found.name})}"
    return {
        "completions_url": url,
        "summary": queries.summarise_dataset(found),
        "measured": queries.measure_dataset(found),
        "completions": [
            (label, count, f"{url}&state={state}")
            for state, label, count in queries.count_completions(found)
        ],
        "row_segments": [
            ("kept", rows["kept"], "ok", None),
            ("duplicate", rows["duplicate"], "warn", None),
            ("refused", rows["refused"], "bad", None),
        ],
        "runs": list(queries.last_runs(found)),
        "newest_export": found.exports.values_list("pk", flat=True).first(),
    }


def _labels_part(found: Dataset) -> dict[str, object]:
    """What people decided, and what of it would be regenerated with the recipe used last."""
    labels = count_labels(found)
    if not labels.decisions:
        return {}
    recipe = Recipe.objects.filter(pk=suggested_recipe(found.pk) or 0).first()
    config = recipe.content.regeneration if recipe else RegenerationConfig()
    return {
        "labels": labels,
        "max_labels": MAX_LABELS,
        "num_refused": count_rejected(
            dataset_id=found.pk, config=config, rejected_by=Run.RejectedBy.PEOPLE
        ),
    }


def _samples_part(request: AuthedRequest, found: Dataset) -> dict[str, object]:
    form = SampleSearchForm(request.GET)
    text = form.cleaned_data["text"].strip() if form.is_valid() else ""
    after = read_after(request.GET.get("after"))
    page = queries.find_samples(found, text=text, after=after)
    return {
        "search": form,
        "text": text,
        "page": page,
        "has_templates": any(sample.template_name for sample in page.rows),
        "window": queries.SEARCH_WINDOW,
        "max_text": queries.SHOWN_TEXT,
    }


def _as_csv(rows: Iterable[Iterable[str]]) -> Iterator[str]:
    for row in rows:
        line = io.StringIO()
        csv.writer(line).writerow(_without_formula(cell) for cell in row)
        yield line.getvalue()


def _without_formula(cell: str) -> str:
    """A spreadsheet would run a cell that begins so."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t")) else cell
