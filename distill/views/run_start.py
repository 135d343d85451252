"""The page that starts a run: what would be asked, what it may cost, whether the teacher answers."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from distill import tasks
from distill.forms.completions import read_after
from distill.forms.runs import StartRunForm
from distill.http import AuthedRequest, render_partial, require_role
from distill.logic.errors import DistillError, InputError
from distill.logic.panel import warnings
from distill.models import Dataset, Recipe, Run
from distill.queries.recipes import suggested_recipe
from distill.queries.runs import Preview, known_teachers, models_of, preview_run, uses_standin
from distill.services.ingest.datasets import MADE_FOR_A_FILE
from distill.services.start_run import start_run as start_run_service
from distill.teachers.official import TeacherCheck, check_teacher, list_models
from distill.teachers.offline.process import base_url

TEST_SECONDS = 15.0
PILOT_SAMPLES = 20
"""Enough for a mean of what the teacher writes, few enough to cost next to nothing."""


@require_role("operator")
@require_http_methods(["GET", "HEAD", "POST"])
def start_run(request: AuthedRequest) -> HttpResponse:
    """Choose and look (`action=preview` changes nothing), then start, or start a `pilot` first."""
    if request.method != "POST":
        return _page(request, StartRunForm(_suggestion(request)))
    action = request.POST.get("action")
    form = StartRunForm(_pilot_of(request.POST) if action == "pilot" else request.POST)
    if action == "preview":
        return _page(request, form)
    if form.is_valid() and (run := _start(request, form)):
        return redirect("distill:run", run.pk)
    return _page(request, form, status=422)


@require_role("operator")
@never_cache
@require_POST
def test_teacher(request: AuthedRequest) -> HttpResponse:
    """Ask teacher and judges one tiny question each, and show what came of it."""
    form = StartRunForm(request.POST)
    if not form.is_complete:
        return _page(request, form, status=422)
    names = models_of(form.content.model_dump(mode="json"), form.cleaned_data["kind"])
    return _page(request, form, checks=[_check(name) for name in names])


@require_role("operator")
@never_cache
@require_POST
def list_teachers(request: AuthedRequest) -> HttpResponse:
    """Ask the provider in the form's field (else the recipe's) which models it has."""
    form = StartRunForm(request.POST)
    name = request.POST.get("teacher", "").strip()
    if not name and form.is_complete:
        name = form.content.teacher.name
    return _page(request, form, listed=_list(name))


@dataclass(frozen=True, slots=True)
class ListedTeachers:
    """The full names of a provider's models, or why there are none."""

    names: tuple[str, ...] = ()
    error: str = ""


def _list(name: str) -> ListedTeachers:
    if not name:
        return ListedTeachers(error="Type a provider into the field Teacher, or choose a recipe.")
    url = base_url(settings.OFFLINE_TEACHER_PORT)
    try:
        return ListedTeachers(list_models(name, offline_url=url, timeout=TEST_SECONDS))
    except DistillError as error:
        return ListedTeachers(error=str(error))


def _check(name: str) -> TeacherCheck:
    url = base_url(settings.OFFLINE_TEACHER_PORT)
    return check_teacher(name, offline_url=url, timeout=TEST_SECONDS)


def _pilot_of(given: QueryDict) -> QueryDict:
    """The same run over the first few samples."""
    pilot = given.copy()
    pilot["sample_limit"] = str(PILOT_SAMPLES)
    return pilot


def _suggestion(request: AuthedRequest) -> dict[str, object]:
    """What the address asks for, else the newest dataset with the recipe of its newest run."""
    asked: dict[str, object] = {name: value for name, value in request.GET.items() if value}
    asked["reasons"] = request.GET.getlist("reasons")
    # What a command made for its file comes last: nobody looks for it here.
    by_people = Dataset.objects.alias(is_for_a_file=MADE_FOR_A_FILE).order_by(
        "is_for_a_file", "-pk"
    )
    newest = by_people.values_list("pk", flat=True).first()
    dataset_id = read_after(request.GET.get("dataset")) or newest
    suggestion: dict[str, object] = {
        "dataset": newest,
        "recipe": suggested_recipe(dataset_id),
        "kind": Run.Kind.PIPELINE.value,
    }
    return suggestion | asked


def _start(request: AuthedRequest, form: StartRunForm) -> Run | None:
    """Save the recipe if it was changed, make the run, enqueue it. None: the form says why not."""
    chosen: Recipe = form.cleaned_data["recipe"]
    try:
        run = start_run_service(
            dataset=form.cleaned_data["dataset"],
            content=form.content,
            budget_nano=form.budget_nano,
            workers=form.num_workers,
            user=request.user,
            **form.choice,
        )
    except DistillError as error:
        form.add_error(None, str(error))
        return None
    tasks.enqueue_run(run.pk)
    messages.success(request, _what_was_started(form, run, is_changed=run.recipe != chosen))
    return run


def _what_was_started(form: StartRunForm, run: Run, *, is_changed: bool) -> str:
    notes = f"Run {run.pk} is queued."
    if is_changed:
        notes += f" What you changed was saved as {run.recipe}."
    return f"{notes} {form.note}." if form.note else notes


def _page(
    request: AuthedRequest,
    form: StartRunForm,
    *,
    checks: list[TeacherCheck] | None = None,
    listed: ListedTeachers | None = None,
    status: int | None = None,
) -> HttpResponse:
    preview, problem = _preview(form)
    context = {
        "form": form,
        "checks": checks,
        "listed": listed,
        "preview": preview,
        "problem": problem,
        "teachers": known_teachers(),
        "pilot_samples": PILOT_SAMPLES,
        "has_dataset": Dataset.objects.exists(),
        "has_recipe": Recipe.objects.exists(),
        "warnings": warnings(form.content) if form.is_complete else (),
        "is_standin": form.is_complete
        and uses_standin(form.content.model_dump(mode="json"), form.cleaned_data["kind"]),
    }
    return render_partial(
        request,
        "distill/run_start.html",
        context,
        partial=("run-preview", "teacher-check", "teacher-models"),
        status=status,
    )


def _preview(form: StartRunForm) -> tuple[Preview | None, str]:
    if not form.is_complete:
        return None, ""
    try:
        preview = preview_run(
            dataset=form.cleaned_data["dataset"],
            recipe=form.content,
            **form.choice,
        )
    except InputError as error:
        return None, str(error)
    return preview, ""
