"""The page that starts a training: what it would train on, how much that is, with which config."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from distill.forms.completions import read_after
from distill.http import AuthedRequest, render_partial, require_role
from distill.logic.errors import DistillError
from distill.models import Export
from training import tasks
from training.forms.runs import StartTrainingForm
from training.models import TrainingRun
from training.queries.configs import BASELINE, LIKE, read_config
from training.queries.starts import estimate_training
from training.services.start_once import start_once


@require_role("operator")
@require_http_methods(["GET", "HEAD", "POST"])
def start_training_view(request: AuthedRequest) -> HttpResponse:
    """Choose and look (`action=load` and `action=preview` change nothing), then start."""
    if request.method != "POST":
        return _page(request, StartTrainingForm(_suggestion(request)))
    action = request.POST.get("action")
    if action == "load":
        document = read_config(request.POST.get("config", ""))
        return _page(request, StartTrainingForm(request.POST.dict() | {"document": document or ""}))
    form = StartTrainingForm(request.POST)
    if action == "preview":
        return _page(request, form)
    if form.is_valid() and (run := _start(request, form)):
        return redirect("training:training_run", run.pk)
    return _page(request, form, status=422)


def _suggestion(request: AuthedRequest) -> dict[str, object]:
    """What the address asks for (`export`, `config`, `like`), else the newest and `baseline`."""
    export_id = read_after(request.GET.get("export"))
    if export_id is None:
        export_id = Export.objects.order_by("-pk").values_list("pk", flat=True).first()
    like = request.GET.get("like")
    config = f"{LIKE}{like}" if like else request.GET.get("config", BASELINE)
    return {"export": export_id, "config": config, "document": read_config(config) or ""}


def _start(request: AuthedRequest, form: StartTrainingForm) -> TrainingRun | None:
    """Make the run and enqueue it; the one that does the same already, if there is one.

    None: the form says why not.
    """
    export: Export = form.cleaned_data["export"]
    try:
        run, is_new = start_once(spec=form.spec, export=export, user=request.user)
    except DistillError as error:
        form.add_error(None, str(error))
        return None
    if not is_new:
        messages.info(request, f"Training run {run.pk} is doing exactly this already.")
        return run
    tasks.enqueue_training(run.pk)
    messages.success(request, f"Training run {run.pk} is queued.")
    return run


def _page(
    request: AuthedRequest, form: StartTrainingForm, *, status: int | None = None
) -> HttpResponse:
    context: dict[str, object] = {"form": form, "has_export": Export.objects.exists()}
    if form.is_complete:
        export = form.cleaned_data["export"]
        context |= {
            "export": export,
            "spec": form.spec,
            "estimate": estimate_training(export=export, spec=form.spec),
        }
    return render_partial(
        request,
        "training/run_start.html",
        context,
        partial=("training-choice", "training-estimate"),
        status=status,
    )
