"""A file through the site, in three steps: send it, look at its mapping, import it."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TypedDict

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from distill import tasks
from distill.forms.datasets import MappingForm, UploadForm
from distill.http import AuthedRequest, render_partial, require_role
from distill.logic.errors import ConflictError, DistillError, InputError
from distill.models import Dataset, SourceFile
from distill.services.ingest import (
    Preview,
    create_dataset,
    discard_upload,
    open_source_file,
    preview_file,
    save_upload,
    upload_path,
)


class _Upload(TypedDict):
    """What the session remembers of a file between the steps."""

    name: str
    dataset: str
    description: str


@require_role("operator")
@require_http_methods(["GET", "HEAD", "POST"])
def upload_dataset(request: AuthedRequest) -> HttpResponse:
    """Step 1: the file and the dataset's name. A file that cannot be read stops here."""
    if request.method != "POST":
        form = UploadForm(initial={"dataset": request.GET.get("dataset", "")})
        return render(request, "distill/dataset_upload.html", {"form": form})
    form = UploadForm(request.POST, request.FILES)
    if form.is_valid() and (upload := _keep(request, form)):
        return redirect("distill:map_upload", upload)
    return render(request, "distill/dataset_upload.html", {"form": form}, status=422)


@require_role("operator")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def map_upload(request: AuthedRequest, upload: uuid.UUID) -> HttpResponse:
    """Step 2: which column is what, with the first samples. By POST the import, or
    (`action=preview`) only another look.
    """
    known, path = _find(request, str(upload))
    preview = preview_file(path, known["name"])
    form = MappingForm(request.POST or None, columns=preview.columns, guess=preview.mapping)
    wants_import = request.method == "POST" and request.POST.get("action") != "preview"
    problem = ""
    if form.is_bound and not form.is_valid():
        problem = "Choose the column that holds the text."
    elif form.is_bound:
        preview = preview_file(path, known["name"], form.mapping)
        if wants_import and preview.can_import:
            try:
                return _import(request, str(upload), known, preview)
            except DistillError as error:
                problem = str(error)
    context = {"form": form, "preview": preview, "upload": known, "problem": problem}
    return render_partial(
        request,
        "distill/dataset_map.html",
        context,
        partial="preview",
        status=422 if wants_import else None,
    )


def _keep(request: AuthedRequest, form: UploadForm) -> str:
    """Save the file if its rows can be read; else say why in the form, and give nothing."""
    file = form.cleaned_data["file"]
    name = Path(file.name).name
    dataset: Dataset | None = form.cleaned_data["dataset"]
    upload = ""
    try:
        upload = save_upload(chunks=file.chunks(), name=name)
        preview_file(upload_path(upload), name)
    except InputError as error:
        form.add_error("file", str(error))
        if upload:
            discard_upload(upload=upload)
        return ""
    known = _Upload(
        name=name,
        dataset=dataset.name if dataset else form.cleaned_data["name"],
        description=form.cleaned_data["description"],
    )
    request.session[f"upload-{upload}"] = known
    return upload


def _find(request: AuthedRequest, upload: str) -> tuple[_Upload, Path]:
    known: _Upload | None = request.session.get(f"upload-{upload}")
    path = upload_path(upload)
    if known is None or not path.exists():
        raise Http404("There is no such upload any more. Send the file again.")
    return known, path


def _import(request: AuthedRequest, upload: str, known: _Upload, preview: Preview) -> HttpResponse:
    try:
        dataset = create_dataset(
            name=known["dataset"], description=known["description"], user=request.user
        )
    except ConflictError:
        dataset = Dataset.objects.get(name=known["dataset"])
    source_file = open_source_file(
        dataset=dataset, path=upload_path(upload), name=known["name"], mapping=preview.mapping
    )
    del request.session[f"upload-{upload}"]
    if source_file.state == SourceFile.State.DONE:
        discard_upload(upload=upload)
        messages.info(request, f"{source_file} was imported before; nothing was added.")
    else:
        tasks.enqueue_import(source_file.pk, upload)
        messages.success(request, f"{source_file} is being imported.")
    return redirect("distill:dataset", dataset.pk)
