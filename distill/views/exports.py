"""Exports: what there is, what would go into the next, one of them with its files."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import FileResponse, Http404, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_http_methods, require_safe

from distill.forms.exports import ExportForm
from distill.http import AuthedRequest, keyset_page, render_partial, require_role
from distill.logic.errors import DistillError
from distill.logic.sft_configs import CONFIGS
from distill.models import Dataset, Export
from distill.queries.eligible import MAX_COUNTED, count_eligible
from distill.queries.export_manifest import why_nothing
from distill.queries.export_zip import stream_zip, zip_files, zip_name
from distill.queries.exports import (
    MAX_CHANGED,
    NO_EXPORT,
    ExportView,
    all_exports,
    count_changed_labels,
    failed_exports,
    first_rows,
    named_file,
    read_card,
    recipes_of,
)
from distill.services.export import export_dataset
from distill.tasks import EXPORTED_AT_ONCE, enqueue_export

_FAILURES_SHOWN = timedelta(days=1)


@require_role("lead", "operator")
@require_http_methods(["GET", "HEAD", "POST"])
def exports(request: AuthedRequest) -> HttpResponse:
    """Every export, newest first, and the form for the next."""
    if request.method == "POST":
        return _create(request)
    form = ExportForm(request.GET) if "dataset" in request.GET else ExportForm()
    return _page(request, form)


def _page(request: AuthedRequest, form: ExportForm, *, status: int = 200) -> HttpResponse:
    page = keyset_page(all_exports(), after=request.GET.get("after"))
    context: dict[str, object] = {
        "form": form,
        "page": page,
        "views": [ExportView(export) for export in page.rows],
        "failures": failed_exports(since=timezone.now() - _FAILURES_SHOWN),
        "no_export": NO_EXPORT,
    }
    if form.is_bound and form.is_valid():
        dataset, policy = form.cleaned_data["dataset"], form.cleaned_data["policy"]
        num = count_eligible(dataset=dataset, policy=policy)
        context |= {
            "chosen": dataset,
            "taken": Export.Policy(policy).label.lower(),
            "configs": [CONFIGS[name] for name in form.cleaned_data["configs"]],
            "num_eligible": num,
            "max_counted": MAX_COUNTED,
            "why_nothing": "" if num else why_nothing(dataset, policy=policy),
        }
    return render_partial(
        request, "distill/exports.html", context, partial="preview", status=status
    )


def _create(request: AuthedRequest) -> HttpResponse:
    form = ExportForm(request.POST)
    if not form.is_valid():
        return _page(request, form, status=422)
    dataset, policy = form.cleaned_data["dataset"], form.cleaned_data["policy"]
    configs = form.cleaned_data["configs"]
    if count_eligible(dataset=dataset, policy=policy) > EXPORTED_AT_ONCE:
        rows_per_shard = form.cleaned_data["rows_per_shard"]
        enqueue_export(dataset.pk, policy, request.user.pk, configs, rows_per_shard)
        messages.info(request, f"The export of {dataset} is being written; it will appear here.")
        return redirect("distill:exports")
    return _export_now(request, form.cleaned_data)


def _export_now(request: AuthedRequest, wanted: dict[str, Any]) -> HttpResponse:
    dataset: Dataset = wanted["dataset"]
    newest = dataset.exports.first()
    try:
        made = export_dataset(user=request.user, **wanted)
    except DistillError as error:
        messages.error(request, str(error))
        return redirect("distill:exports")
    if newest is not None and made.pk <= newest.pk:
        messages.info(request, f"Nothing has changed: {made} holds the very same rows.")
    else:
        messages.success(request, f"{made} is written.")
    return redirect("distill:export", made.pk)


@require_role("lead", "operator")
@require_safe
def export(request: AuthedRequest, pk: int) -> HttpResponse:
    """One export: counts, files, card, a few rows, and whether people have decided more since."""
    view = ExportView(get_object_or_404(all_exports(), pk=pk))
    context = {
        "view": view,
        "export": view.export,
        "card": read_card(view),
        "rows": first_rows(view),
        "recipes": recipes_of(view.export),
        "num_changed": count_changed_labels(view.export),
        "max_changed": MAX_CHANGED,
    }
    return render(request, "distill/export.html", context)


@require_role("lead", "operator")
@require_safe
def download_export_file(request: AuthedRequest, pk: int, name: str) -> HttpResponseBase:
    """One file of an export, as an attachment; only files that its manifest names."""
    view = ExportView(get_object_or_404(Export.objects.select_related("dataset"), pk=pk))
    path = named_file(view, name)
    if path is None:
        raise Http404(f"This export has no file {name!r}.")
    filename = f"{view.export.dataset.name}-v{view.export.version}-{path.name}"
    return FileResponse(
        path.open("rb"),
        as_attachment=True,
        filename=filename,
        content_type="application/octet-stream",
    )


@require_role("lead", "operator")
@require_safe
def download_export_zip(request: AuthedRequest, pk: int) -> HttpResponseBase:
    """All files of an export as one zip, made while it is sent."""
    view = ExportView(get_object_or_404(Export.objects.select_related("dataset"), pk=pk))
    files = zip_files(view)
    if not files:
        raise Http404("Files of this export are gone; export the dataset again to put them back.")
    disposition = content_disposition_header(as_attachment=True, filename=f"{zip_name(view)}.zip")
    return StreamingHttpResponse(
        stream_zip(files),
        content_type="application/zip",
        headers={"Content-Disposition": disposition or "attachment"},
    )
