"""Every model in Django's admin. What is immutable is shown and never changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.contrib.auth.models import User
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest

from distill import tasks
from distill.http import has_role
from distill.logic.errors import DistillError
from distill.logic.panel import warnings
from distill.logic.recipe import default_recipe
from distill.models import (
    Call,
    Chunk,
    Completion,
    CompletionState,
    Dataset,
    Decision,
    Export,
    ExportedCompletion,
    Judgement,
    Label,
    PriceList,
    Purchase,
    Recipe,
    RefusedRow,
    Reply,
    Run,
    RunEvent,
    RunReading,
    Sample,
    SampleDraw,
    Screening,
    ScreeningFinding,
    Shift,
    SourceFile,
    Verdict,
)
from distill.services.recipes import save_recipe
from distill.services.runs import create_run, request_stop, resume_run


class CheckedActionsAdmin(admin.ModelAdmin[Any]):
    """Actions over ids that are numbers: Django fails on others."""

    def response_action(  # type: ignore[override]  # the stubs are of a later Django
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> HttpResponse | None:
        chosen = request.POST.getlist("_selected_action")
        if not all(pk.isascii() and pk.isdigit() for pk in chosen):
            return HttpResponseBadRequest("What was selected is none of this list's rows.")
        return super().response_action(request, queryset)


class ReadOnlyAdmin(CheckedActionsAdmin):
    """Rows that only the program writes. Lists are not counted: the tables are large."""

    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return False


def register(
    model: type[models.Model],
    columns: Sequence[str],
    filters: Sequence[str] = (),
    *,
    named_by: Sequence[str] = (),
) -> None:
    """Show a model's rows read-only, with these columns; `named_by` is what their names read.

    Filters only over short tables or choices: for others Django reads all rows to find the values.
    """
    joined = [name for name in columns if _is_foreign_key(model, name)] + [*named_by]
    attributes = {
        "list_display": ["pk", *columns],
        "list_filter": list(filters),
        "list_select_related": joined or False,
    }
    admin.site.register(model, type(f"{model.__name__}Admin", (ReadOnlyAdmin,), attributes))


def _is_foreign_key(model: type[models.Model], name: str) -> bool:
    return isinstance(model._meta.get_field(name), models.ForeignKey)


register(SourceFile, ["dataset", "name", "state", "rows_kept", "rows_refused"], ["state"])
register(RefusedRow, ["source_file", "line", "field", "message"])
register(Sample, ["dataset", "key", "domain", "split", "title"], ["split"])
register(Recipe, ["name", "version", "sha256", "created_at"], ["name"])
register(RunEvent, ["run", "at", "level", "message"], ["level"])
register(RunReading, ["run", "shift", "at"])
register(Shift, ["run", "host", "pid", "started_at", "heartbeat_at", "ended_at"])
register(Chunk, ["run", "first_id", "last_id", "shift", "is_done"], ["is_done"])
register(PriceList, ["id", "note", "sha256", "created_at"])
register(Call, ["teacher", "draw", "created_at"])
register(Purchase, ["call", "number", "run", "bound_nano", "created_at"])
register(Reply, ["call", "outcome", "status", "cost_nano", "created_at"])
register(Completion, ["sample", "draw", "attempt", "teacher", "finish_reason"])
register(CompletionState, ["dataset", "state", "is_open", "mean_score"], ["state", "is_open"])
register(Judgement, ["completion", "judge", "teacher", "mean_score", "error"])
register(Verdict, ["completion", "passed", "stage", "mean_score", "run"], ["passed", "stage"])
register(SampleDraw, ["run", "sample", "draw", "state", "failure_kind"], ["state"])
register(Screening, ["dataset", "policy", "created_at"], ["policy"])
register(ScreeningFinding, ["screening", "completion", "reason", "is_dropped"], ["reason"])
register(Decision, ["completion", "reviewer", "kind", "created_at"], ["kind"])
register(Label, ["outcome", "basis", "decision", "updated_at"], ["outcome", "basis"])
register(Export, ["dataset", "version", "policy", "created_at"], ["policy"])
register(ExportedCompletion, ["export", "completion"], named_by=["export__dataset"])


class StageForm(ActionForm):
    """Which recipe an action of a stage uses."""

    recipe = forms.ModelChoiceField(
        Recipe.objects.all(), required=False, empty_label="newest recipe of the dataset"
    )


Action = Callable[["DatasetAdmin", HttpRequest, QuerySet[Dataset]], None]


def _start(kind: Run.Kind) -> Action:
    """An action that starts one stage, or the whole pipeline, for the selected datasets."""

    @admin.action(description=f"Start: {kind.label}", permissions=["operate"])
    def start(self: DatasetAdmin, request: HttpRequest, queryset: QuerySet[Dataset]) -> None:
        for dataset in queryset:
            try:
                recipe = _recipe_for(dataset, request.POST.get("recipe"))
                user = User.objects.get(username=request.user.get_username())
                run = create_run(dataset=dataset, recipe=recipe, kind=kind, user=user)
            except DistillError as error:
                self.message_user(request, f"{dataset}: {error}", messages.ERROR)
                continue
            tasks.enqueue_run(run.id)
            self.message_user(request, f"{dataset}: {run} is queued ({kind.label}, {recipe}).")
            for warning in warnings(recipe.content):
                self.message_user(request, warning, messages.WARNING)

    start.__name__ = f"start_{kind.value}"
    return start


def _recipe_for(dataset: Dataset, recipe_id: str | None) -> Recipe:
    """The chosen recipe, else that of the dataset's newest run, else the built-in one."""
    if recipe_id:
        return Recipe.objects.get(id=int(recipe_id))
    run = dataset.runs.select_related("recipe").first()
    return run.recipe if run else save_recipe(content=default_recipe())


@admin.action(description="Export what people accepted", permissions=["operate"])
def export_reviewed(self: DatasetAdmin, request: HttpRequest, queryset: QuerySet[Dataset]) -> None:
    _enqueue_exports(self, request, queryset, Export.Policy.REVIEWED)


@admin.action(description="Export what passed the gate", permissions=["operate"])
def export_gate(self: DatasetAdmin, request: HttpRequest, queryset: QuerySet[Dataset]) -> None:
    _enqueue_exports(self, request, queryset, Export.Policy.GATE)


@admin.action(description="Export what people agreed on", permissions=["operate"])
def export_gold(self: DatasetAdmin, request: HttpRequest, queryset: QuerySet[Dataset]) -> None:
    _enqueue_exports(self, request, queryset, Export.Policy.GOLD)


def _enqueue_exports(
    self: DatasetAdmin, request: HttpRequest, queryset: QuerySet[Dataset], policy: str
) -> None:
    for dataset in queryset:
        tasks.enqueue_export(dataset.id, policy, request.user.pk)
        self.message_user(request, f"{dataset}: the export is queued.")


@admin.register(Dataset)
class DatasetAdmin(CheckedActionsAdmin):
    list_display = ["name", "description", "created_by", "created_at"]
    search_fields = ["name"]
    readonly_fields = ["created_at", "created_by"]
    action_form = StageForm
    actions = [*map(_start, Run.Kind), export_reviewed, export_gold, export_gate]

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return has_role(request.user, "operator")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Dataset | None = None) -> bool:
        # The site's page does it in order and says what goes with it.
        return False


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    list_display = ["id", "dataset", "recipe", "kind", "state", "created_at", "finished_at"]
    list_filter = ["state", "kind"]
    list_select_related = ["dataset", "recipe"]
    actions = ["stop", "resume"]

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return has_role(request.user, "operator")

    @admin.action(description="Stop", permissions=["operate"])
    def stop(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        stopped = sum(request_stop(run_id=run.id) for run in queryset)
        self.message_user(request, f"Asked {stopped} of {len(queryset)} runs to stop.")

    @admin.action(description="Resume", permissions=["operate"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        resumed = [run.id for run in queryset if resume_run(run_id=run.id)]
        for run_id in resumed:
            tasks.enqueue_run(run_id)
        self.message_user(request, f"Resumed {len(resumed)} of {len(queryset)} runs.")
