"""Runs: start, follow, stop, resume."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.shortcuts import get_object_or_404
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from distill import tasks
from distill.api.endpoints import (
    MAX_ID,
    ApiView,
    InputSerializer,
    Page,
    PageQuery,
    answer_page,
    keyset,
    operation,
    page_of,
    read,
)
from distill.api.permissions import LEADS, OPERATORS
from distill.api.telemetry import LiveSerializer, StretchSerializer
from distill.forms.runs import KINDS
from distill.logic.document_yaml import MAX_CHARS
from distill.logic.errors import ConflictError, InputError
from distill.logic.reasons import Reason
from distill.logic.recipe import Recipe as RecipeContent
from distill.logic.recipe import default_recipe, load_recipe
from distill.models import Dataset, Recipe, Run
from distill.queries.progress import list_failures, live_progress
from distill.queries.run_plots import read_history
from distill.queries.runs import all_runs, summarise_runs
from distill.queries.waterfall import run_waterfall
from distill.services.runs import MOST_WORKERS, request_stop, resume_run
from distill.services.start_run import start_run

TAG = "runs"
NANO = 1_000_000_000


# --- shapes ---


class MoneyField(serializers.DecimalField):
    """1e-9 US dollars as dollars, exactly: a decimal number as text."""

    def __init__(self, **more: Any) -> None:
        super().__init__(max_digits=20, decimal_places=9, read_only=True, **more)

    def to_representation(self, value: int) -> str:
        return f"{Decimal(value) / NANO:.9f}"


class RunSerializer(serializers.ModelSerializer):
    dataset_name = serializers.CharField(source="dataset.name")
    recipe_name = serializers.CharField(source="recipe.name")
    recipe_version = serializers.IntegerField(source="recipe.version")
    budget_usd = MoneyField(source="budget_nano", allow_null=True)
    spent_usd = MoneyField(source="spent_nano")

    class Meta:
        model = Run
        fields = (
            *("id", "dataset", "dataset_name", "recipe", "recipe_name", "recipe_version"),
            *("kind", "state", "message", "sample_limit", "rejected_by", "reasons"),
            *("workers", "budget_usd", "spent_usd", "created_at", "started_at", "finished_at"),
        )


class RunSummarySerializer(serializers.Serializer):
    """A run, and how far it is: sample × draws."""

    run = RunSerializer()
    teacher = serializers.CharField()
    total = serializers.IntegerField()
    done = serializers.IntegerField(help_text="Those that the run has nothing more to do for.")
    passed = serializers.IntegerField()


class ProgressSerializer(serializers.Serializer):
    by_state = serializers.DictField(child=serializers.IntegerField())
    total = serializers.IntegerField()
    finished = serializers.IntegerField()
    in_flight = serializers.IntegerField()
    replies_per_s = serializers.FloatField()
    seconds_left = serializers.IntegerField(allow_null=True)
    time_left_basis = serializers.CharField(
        source="left.basis", help_text="By what that is reckoned, or why nobody can tell."
    )
    seconds_at_work = serializers.FloatField(source="work.seconds", help_text="Without pauses.")
    seconds_paused = serializers.FloatField(source="work.paused_seconds")


class LossSerializer(serializers.Serializer):
    label = serializers.CharField()
    count = serializers.IntegerField()


class StepSerializer(serializers.Serializer):
    label = serializers.CharField()
    count = serializers.IntegerField()
    losses = LossSerializer(many=True)


class BalanceSerializer(serializers.Serializer):
    """Everything that went in, by where it is; the parts add up to `total`."""

    total = serializers.IntegerField()
    eligible = serializers.IntegerField()
    awaiting_review = serializers.IntegerField()
    pending = serializers.IntegerField()
    rejected = serializers.DictField(child=serializers.IntegerField(), help_text="By stage.")
    failed = serializers.DictField(child=serializers.IntegerField(), help_text="By kind.")


class WaterfallSerializer(serializers.Serializer):
    balance = BalanceSerializer()
    steps = StepSerializer(many=True)
    reasons = serializers.DictField(child=serializers.IntegerField())
    summary = serializers.CharField(help_text="What took everything away, where something did.")


class FailureSerializer(serializers.Serializer):
    kind = serializers.CharField()
    count = serializers.IntegerField()
    message = serializers.CharField(help_text="The last one.")
    attempts = serializers.FloatField(help_text="How often it was sent, on average.")
    is_retryable = serializers.BooleanField(help_text="Resuming the run tries it again.")


class RunDetailSerializer(serializers.Serializer):
    run = RunSerializer()
    progress = ProgressSerializer()
    live = LiveSerializer()
    course = StretchSerializer(help_text="The whole run until now, its pauses left out.")
    waterfall = WaterfallSerializer()
    failures = FailureSerializer(many=True)


class RunQuery(PageQuery):
    dataset = serializers.IntegerField(required=False, min_value=1, max_value=MAX_ID)
    state = serializers.ChoiceField(Run.State.choices, required=False)


class RunInput(InputSerializer):
    dataset = serializers.IntegerField(min_value=1, max_value=MAX_ID, help_text="Its id.")
    recipe = serializers.CharField(
        required=False,
        max_length=100,
        help_text="Its name. Without `recipe` and `recipe_yaml` the built-in one, which needs no key.",
    )
    recipe_version = serializers.IntegerField(
        required=False, min_value=1, max_value=2**31 - 1, help_text="Without it the newest."
    )
    recipe_yaml = serializers.CharField(
        required=False,
        max_length=MAX_CHARS,
        trim_whitespace=False,
        help_text="A whole recipe instead of a name; it is saved as a version.",
    )
    kind = serializers.ChoiceField(
        [kind for kind, _ in KINDS], required=False, default=Run.Kind.PIPELINE.value
    )
    sample_limit = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=2**31 - 1
    )
    budget_usd = serializers.DecimalField(
        required=False,
        allow_null=True,
        max_digits=15,
        decimal_places=6,
        min_value=Decimal("0.000001"),
        max_value=Decimal(9_000_000),
        help_text="The run never spends more. It needs the teacher's price in the recipe.",
    )
    workers = serializers.IntegerField(
        required=False,
        default=1,
        min_value=1,
        max_value=MOST_WORKERS,
        help_text="So many worker processes share the run.",
    )
    rejected_by = serializers.ChoiceField(
        Run.RejectedBy.choices,
        required=False,
        default=Run.RejectedBy.ANYBODY.value,
        help_text="Whose rejections a regeneration takes up.",
    )
    reasons = serializers.ListField(
        child=serializers.ChoiceField([reason.value for reason in Reason]),
        required=False,
        default=list,
        max_length=50,
        help_text="A regeneration takes up only what was rejected for one of these.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "recipe" in attrs and "recipe_yaml" in attrs:
            raise serializers.ValidationError("Send `recipe` (a name) or `recipe_yaml`, not both.")
        if "recipe_version" in attrs and "recipe" not in attrs:
            raise serializers.ValidationError({"recipe_version": ["It needs `recipe`, its name."]})
        return attrs


# --- endpoints ---


class RunsView(ApiView):
    roles = {"GET": LEADS, "POST": OPERATORS}

    @operation(
        "list_runs",
        "All runs, the newest first",
        tag=TAG,
        answers={200: page_of(RunSummarySerializer)},
        errors=[400],
        query=RunQuery,
    )
    def get(self, request: Request) -> Response:
        asked = read(RunQuery, request.query_params)
        wanted = {name: asked[name] for name in ("dataset", "state") if name in asked}
        page = keyset(all_runs().filter(**wanted), asked)
        summaries = summarise_runs(page.rows)
        return answer_page(request, Page(summaries, page.next), RunSummarySerializer)

    @operation(
        "start_run",
        "Start a run over a dataset",
        description="It is queued for the workers. 409 where a run is doing exactly this already.",
        tag=TAG,
        body=RunInput,
        answers={201: RunSerializer},
        errors=[400, 409],
        examples={
            "The whole pipeline over 100 samples": {
                "dataset": 1,
                "kind": "pipeline",
                "sample_limit": 100,
            },
            "What people rejected, again": {
                "dataset": 1,
                "recipe": "mine",
                "recipe_version": 2,
                "kind": "regenerate",
                "rejected_by": "people",
            },
        },
    )
    def post(self, request: Request) -> Response:
        given = read(RunInput, request.data)
        dataset = Dataset.objects.filter(pk=given["dataset"]).first()
        if dataset is None:
            raise serializers.ValidationError({"dataset": ["There is no dataset with this id."]})
        run = start_run(
            dataset=dataset,
            content=_recipe(given),
            kind=given["kind"],
            sample_limit=given.get("sample_limit"),
            budget_nano=_nano(given.get("budget_usd")),
            rejected_by=given["rejected_by"],
            reasons=[Reason(code) for code in given["reasons"]],
            workers=given["workers"],
            user=request.user,
        )
        tasks.enqueue_run(run.pk)
        return Response(RunSerializer(run).data, status=201)


class RunView(ApiView):
    roles = {"GET": LEADS}

    @operation(
        "get_run",
        "One run: how far it is, how it goes, where everything went",
        description=(
            "`live` is what its workers say just now, `course` the whole run. The waterfall counts "
            "sample × draws; of a large run that takes a second or two."
        ),
        tag=TAG,
        answers={200: RunDetailSerializer},
        errors=[404],
    )
    def get(self, request: Request, pk: int) -> Response:
        found = get_object_or_404(all_runs(), pk=pk)
        waterfall = run_waterfall(found)
        progress = live_progress(found, now=timezone.now())
        detail = {
            "run": found,
            "progress": progress,
            "live": progress.live,
            "course": read_history(found).total,
            "waterfall": {
                "balance": waterfall.balance,
                "steps": waterfall.steps,
                "reasons": {reason.value: count for reason, count in waterfall.reasons},
                "summary": waterfall.summary,
            },
            "failures": list_failures(found),
        }
        return Response(RunDetailSerializer(detail).data)


class StopRunView(ApiView):
    roles = {"POST": OPERATORS}

    @operation(
        "stop_run",
        "Ask a run to stop",
        description="What is in flight is still stored. 409 where it is not active.",
        tag=TAG,
        answers={200: RunSerializer},
        errors=[404, 409],
    )
    def post(self, request: Request, pk: int) -> Response:
        return _move(pk, is_moved=request_stop(run_id=pk))


class ResumeRunView(ApiView):
    roles = {"POST": OPERATORS}

    @operation(
        "resume_run",
        "Queue an ended run again",
        description="The ledger answers what it knows. 409 where the run is active.",
        tag=TAG,
        answers={200: RunSerializer},
        errors=[404, 409],
    )
    def post(self, request: Request, pk: int) -> Response:
        is_moved = resume_run(run_id=pk)
        if is_moved:
            tasks.enqueue_run(pk)
        return _move(pk, is_moved=is_moved)


def _move(pk: int, *, is_moved: bool) -> Response:
    """The run as it is after a change of its state, or why there was none."""
    run = get_object_or_404(all_runs(), pk=pk)
    if not is_moved:
        raise ConflictError(f"Nothing was changed: run {pk} is {run.state} already.")
    return Response(RunSerializer(run).data)


def _recipe(given: Mapping[str, Any]) -> RecipeContent:
    if "recipe_yaml" in given:
        try:
            return load_recipe(given["recipe_yaml"])
        except InputError as error:
            raise serializers.ValidationError({"recipe_yaml": str(error).splitlines()}) from error
    if "recipe" not in given:
        return default_recipe()
    versions = Recipe.objects.filter(name=given["recipe"])
    if "recipe_version" in given:
        versions = versions.filter(version=given["recipe_version"])
    newest = versions.order_by("-version").first()
    if newest is None:
        raise serializers.ValidationError({"recipe": ["There is no such recipe or version."]})
    return newest.content


def _nano(usd: Decimal | None) -> int | None:
    return None if usd is None else int(usd * NANO)
