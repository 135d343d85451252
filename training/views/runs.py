"""Training runs: the list, one of them while it goes on and afterwards, stop and resume."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from django.contrib import messages
from django.http import FileResponse, Http404, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from distill.http import AuthedRequest, has_role, keyset_page, render_partial, require_role
from distill.models import Export
from training import tasks
from training.forms.runs import TrainingFilterForm
from training.models import TrainingRun
from training.queries.configs import spec_yaml
from training.queries.curves import each_metric, last_points, read_curves
from training.queries.folders import layout_of, list_model_files, read_tail
from training.queries.live import live_training
from training.queries.runs import (
    all_training_runs,
    find_training_runs,
    list_evaluations,
    list_training_lines,
    took,
    trained_on,
    used_tags,
)
from training.services.resume import resume_training
from training.services.stop import request_stop

PAGE_SIZE = 20
STOP_POLLING = 286


@require_role("lead", "operator")
@never_cache
@require_safe
def training_runs(request: AuthedRequest) -> HttpResponse:
    """All training runs, newest first, or those in a state, with a tag."""
    form = TrainingFilterForm(request.GET)
    wanted = form.cleaned_data if form.is_valid() else {"state": "", "tag": ""}
    page = keyset_page(
        find_training_runs(state=wanted["state"], tag=wanted["tag"]),
        after=request.GET.get("after"),
        size=PAGE_SIZE,
    )
    is_live = any(run.is_active for run in page.rows)
    context = {
        "form": form,
        "is_filtered": any(wanted.values()),
        "page": page,
        "lines": list_training_lines(page.rows),
        "tags": used_tags(),
        "may_start": has_role(request.user, "operator"),
        "has_export": Export.objects.exists(),
        "is_live": is_live,
    }
    return render_partial(
        request,
        "training/runs.html",
        context,
        partial="training-list",
        status=_poll_status(request, is_live=is_live),
    )


@require_role("lead", "operator")
@never_cache
@require_safe
def training_run(request: AuthedRequest, pk: int) -> HttpResponse:
    """One training run. Its live parts ask for themselves again until it has ended."""
    found = get_object_or_404(all_training_runs(), pk=pk)
    target = (request.htmx.target if request.htmx else None) or ""
    parts = {target: _PARTS[target]} if target in _PARTS else _PARTS
    if target in _PARTS and found.is_active and _is_seen(request, found, target):
        return HttpResponse(status=204)
    context: dict[str, object] = {
        "run": found,
        "spec_yaml": spec_yaml(found),
        "may_start": has_role(request.user, "operator"),
    }
    for make in parts.values():
        context |= make(found)
    return render_partial(
        request,
        "training/run.html",
        context,
        partial=tuple(_PARTS),
        status=_poll_status(request, is_live=found.is_active),
    )


@require_role("operator")
@require_POST
def stop_training(request: AuthedRequest, pk: int) -> HttpResponse:
    """Ask a training to stop; it keeps a checkpoint. Asking twice changes nothing."""
    found = get_object_or_404(TrainingRun, pk=pk)
    if request_stop(training_run_id=pk):
        messages.success(request, f"Training run {pk} is being stopped; it can be resumed later.")
    else:
        found.refresh_from_db()
        messages.info(request, f"Nothing was changed: training run {pk} is {found.state} already.")
    return redirect("training:training_run", pk)


@require_role("operator")
@require_POST
def resume_training_view(request: AuthedRequest, pk: int) -> HttpResponse:
    """Queue an ended training again, from its last checkpoint. Asking twice changes nothing."""
    found = get_object_or_404(TrainingRun, pk=pk)
    if resume_training(training_run_id=pk):
        tasks.enqueue_training(pk)
        messages.success(request, f"Training run {pk} goes on from its last whole checkpoint.")
    else:
        found.refresh_from_db()
        messages.info(request, f"Nothing was changed: training run {pk} is {found.state} already.")
    return redirect("training:training_run", pk)


# --- downloads ---


@require_role("lead", "operator")
@require_safe
def download_log(request: AuthedRequest, pk: int) -> HttpResponseBase:
    """The whole log as the program printed it, where this host has it."""
    found = get_object_or_404(TrainingRun, pk=pk)
    path = layout_of(found).log
    if not found.folder or not path.is_file():
        raise Http404("The log is not on this host.")
    return FileResponse(
        path.open("rb"),
        as_attachment=True,
        filename=f"training-{pk}-log.txt",
        content_type="application/octet-stream",
    )


@require_role("lead", "operator")
@require_safe
def download_metrics(request: AuthedRequest, pk: int) -> HttpResponseBase:
    """Every metric as JSONL, streamed."""
    found = get_object_or_404(TrainingRun, pk=pk)
    return StreamingHttpResponse(
        each_metric(found),
        content_type="application/jsonl",
        headers={"Content-Disposition": f'attachment; filename="training-{pk}-metrics.jsonl"'},
    )


@require_role("lead", "operator")
@require_safe
def download_spec(request: AuthedRequest, pk: int) -> HttpResponse:
    """The spec as a YAML file, which the start page and `train_student` take."""
    found = get_object_or_404(TrainingRun, pk=pk)
    return HttpResponse(
        spec_yaml(found),
        content_type="application/yaml; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="training-{pk}.yaml"'},
    )


# --- the parts of a training run's page ---


def _live_part(run: TrainingRun) -> dict[str, object]:
    return {
        "live": live_training(run, now=timezone.now()),
        "took": took(run),
        "model_files": list_model_files(run),
        "model_folder": layout_of(run).model,
        "evaluations": list_evaluations(run),
    }


def _plots_part(run: TrainingRun) -> dict[str, object]:
    curves = read_curves(run)
    return {
        "plots_version": _plots_version(run),
        "trained_on": trained_on(run),
        "losses": [("train", curves.train), ("held-out", curves.held_out)],
        "learning_rate": [("learning rate", curves.learning_rate)],
        "is_over": not run.is_active,
        "speed": [("tokens a second", curves.tokens_per_second)],
        "steps_a_point": curves.steps_a_point,
    }


def _log_part(run: TrainingRun) -> dict[str, object]:
    return {"log": read_tail(run)}


_PARTS: Mapping[str, Callable[[TrainingRun], dict[str, object]]] = {
    "training-live": _live_part,
    "training-plots": _plots_part,
    "training-log": _log_part,
}


def _is_seen(request: AuthedRequest, run: TrainingRun, target: str) -> bool:
    """Whether the page has the newest of this part already."""
    seen = request.GET.get("seen")
    if target == "training-plots":
        return seen == _plots_version(run)
    tail = read_tail(run) if target == "training-log" else None
    return tail is not None and seen == tail.version


def _plots_version(run: TrainingRun) -> str:
    return f"{last_points(run)}.{run.state}"


def _poll_status(request: AuthedRequest, *, is_live: bool) -> int | None:
    """286 tells htmx that this was the last fragment of an element that asks again and again."""
    return STOP_POLLING if request.htmx and not is_live else None
