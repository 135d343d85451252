"""Evaluations: one while it goes on, its report card afterwards, start, stop, downloads."""

from __future__ import annotations

from typing import Any

import orjson
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from distill.http import AuthedRequest, has_role, render_partial, require_role
from distill.logic.errors import DistillError
from training import tasks
from training.forms.evaluations import ComparisonForm, StartEvaluationForm
from training.logic.report_text import ASSUMPTIONS, COUNTS, STAND_IN, report_markdown
from training.models import Evaluation, TrainingRun
from training.queries.report_card import all_evaluations, compare, live_evaluation, report_card
from training.services.report_evaluation import report_title
from training.services.start_evaluation import start_evaluation
from training.services.stop_evaluation import stop_evaluation

STOP_POLLING = 286


@require_role("lead", "operator")
@never_cache
@require_safe
def evaluation(request: AuthedRequest, pk: int) -> HttpResponse:
    """One evaluation. It asks for itself again until it has ended; then its card stands there."""
    found = get_object_or_404(all_evaluations(), pk=pk)
    form = ComparisonForm(request.GET)
    wanted: dict[str, Any] = form.cleaned_data if form.is_valid() else {"only": "", "start": 0}
    context: dict[str, object] = {
        "evaluation": found,
        "form": form,
        "only": wanted["only"],
        "live": live_evaluation(found, now=timezone.now()),
        "card": report_card(found),
        "counts": COUNTS,
        "assumptions": ASSUMPTIONS,
        "stand_in": STAND_IN,
        "may_start": has_role(request.user, "operator"),
    }
    if found.report:
        context["page"] = compare(found.report, only=wanted["only"], start=wanted["start"] or 0)
    is_over = request.htmx and not found.is_active
    return render_partial(
        request,
        "training/evaluation.html",
        context,
        partial=("evaluation-live", "evaluation-samples"),
        status=STOP_POLLING if is_over and request.htmx.target == "evaluation-live" else None,
    )


@require_role("operator")
@require_POST
def start_evaluation_view(request: AuthedRequest, pk: int) -> HttpResponse:
    """Queue the evaluation of a student. Asking twice is one evaluation."""
    run = get_object_or_404(TrainingRun.objects.select_related("dataset", "export"), pk=pk)
    form = StartEvaluationForm(request.POST)
    if not form.is_valid():
        messages.error(request, f"Nothing was started: {_first_error(form)}")
        return redirect("training:training_run", pk)
    try:
        found = start_evaluation(training_run=run, user=request.user, **form.cleaned_data)
    except DistillError as error:
        messages.error(request, str(error))
        return redirect("training:training_run", pk)
    tasks.enqueue_evaluation(found.pk)
    return redirect("training:evaluation", found.pk)


@require_role("operator")
@require_POST
def stop_evaluation_view(request: AuthedRequest, pk: int) -> HttpResponse:
    """Stop an evaluation; what is answered and scored stays. Asking twice changes nothing."""
    found = get_object_or_404(Evaluation, pk=pk)
    if stop_evaluation(evaluation_id=pk):
        messages.success(request, f"Evaluation {pk} was stopped; what it has answered is kept.")
    else:
        messages.info(request, f"Nothing was changed: evaluation {pk} is {found.state} already.")
    return redirect("training:evaluation", pk)


@require_role("lead", "operator")
@require_safe
def download_report_json(request: AuthedRequest, pk: int) -> HttpResponse:
    """The report card as JSON, sample by sample too."""
    found = _reported(pk)
    named = {"evaluation": pk, "training_run": found.training_run_id} | found.report
    content = orjson.dumps(named, option=orjson.OPT_INDENT_2)
    return _attachment(content, "application/json", f"evaluation-{pk}.json")


@require_role("lead", "operator")
@require_safe
def download_report_markdown(request: AuthedRequest, pk: int) -> HttpResponse:
    """The report card as the Markdown file that lies in the evaluation's folder."""
    found = _reported(pk)
    text = report_markdown(found.report, title=report_title(found))
    return _attachment(text.encode(), "text/markdown; charset=utf-8", f"evaluation-{pk}.md")


def _reported(pk: int) -> Evaluation:
    found = get_object_or_404(all_evaluations(), pk=pk)
    if not found.report:
        raise Http404("It has no report card yet.")
    return found


def _attachment(content: bytes, content_type: str, name: str) -> HttpResponse:
    return HttpResponse(
        content,
        content_type=content_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _first_error(form: StartEvaluationForm) -> str:
    return next(f"{name}: {errors[0]}" for name, errors in form.errors.items())
