"""Training runs and evaluations through the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from distill.api.endpoints import (
    MAX_ID,
    ApiView,
    InputSerializer,
    PageQuery,
    answer_page,
    keyset,
    operation,
    page_of,
    read,
)
from distill.api.permissions import LEADS, OPERATORS
from distill.logic.document_yaml import MAX_CHARS
from distill.logic.errors import ConflictError, InputError
from distill.models import Export, Recipe
from training import tasks
from training.logic.spec import TrainSpec, dump_spec, load_spec
from training.models import Contender, Evaluation, Metric, TrainingRun
from training.queries.configs import spec_yaml
from training.queries.runs import all_training_runs, find_training_runs
from training.services.resume import resume_training
from training.services.start_evaluation import MOST_SAMPLES, SAMPLE_LIMIT, start_evaluation
from training.services.start_once import start_once
from training.services.stop import request_stop
from training.services.stop_evaluation import stop_evaluation

TAG = "training"


# --- shapes ---


class TrainingRunSerializer(serializers.ModelSerializer):
    tags = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = TrainingRun
        fields: tuple[str, ...] = (
            *("id", "name", "dataset", "export", "tags", "state", "message", "host", "step"),
            *("max_steps", "created_at", "started_at", "finished_at"),
        )


class TrainingLineSerializer(TrainingRunSerializer):
    train_loss = serializers.FloatField(allow_null=True, help_text="The last one, in nats.")
    held_out_loss = serializers.FloatField(allow_null=True)

    class Meta(TrainingRunSerializer.Meta):
        fields = (*TrainingRunSerializer.Meta.fields, "train_loss", "held_out_loss")


class TrainingDetailSerializer(TrainingRunSerializer):
    spec = serializers.DictField()
    source = serializers.DictField(help_text="What it trains on, with its hash.")
    result = serializers.DictField(
        help_text="Final metrics, sizes, versions; empty before the end."
    )

    class Meta(TrainingRunSerializer.Meta):
        fields = (*TrainingRunSerializer.Meta.fields, "spec", "source", "result")


class MetricSerializer(serializers.ModelSerializer):
    values = serializers.DictField(help_text="loss, learning_rate, grad_norm, tokens, …")

    class Meta:
        model = Metric
        fields = ("id", "kind", "step", "values", "at")


class ContenderSerializer(serializers.ModelSerializer):
    class Meta:
        model = Contender
        fields = ("role", "name", "run", "loss", "loss_tokens", "loss_rows")


class EvaluationSerializer(serializers.ModelSerializer):
    class Meta:
        model = Evaluation
        fields: tuple[str, ...] = (
            *("id", "training_run", "recipe", "state", "message", "sample_limit"),
            *("num_answered", "num_wanted", "created_at", "finished_at"),
        )


class EvaluationDetailSerializer(EvaluationSerializer):
    contenders = ContenderSerializer(many=True)
    report = serializers.DictField(help_text="The report card; empty before the end.")

    class Meta(EvaluationSerializer.Meta):
        fields = (*EvaluationSerializer.Meta.fields, "contenders", "report")


class TrainingQuery(PageQuery):
    state = serializers.ChoiceField(TrainingRun.State.choices, required=False)
    tag = serializers.CharField(required=False, max_length=50)


class MetricQuery(PageQuery):
    kind = serializers.ChoiceField(Metric.Kind.choices, required=False)


class TrainingInput(InputSerializer):
    export = serializers.IntegerField(min_value=1, max_value=MAX_ID, help_text="Its id.")
    spec = serializers.DictField(
        required=False, help_text="The config as an object; what is left out has its default."
    )
    spec_yaml = serializers.CharField(
        required=False, max_length=MAX_CHARS, trim_whitespace=False, help_text="Or as YAML."
    )
    tags = serializers.ListField(
        child=serializers.CharField(max_length=50), required=False, default=list, max_length=20
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "spec" in attrs and "spec_yaml" in attrs:
            raise serializers.ValidationError("Send `spec` or `spec_yaml`, not both.")
        return attrs


class EvaluationInput(InputSerializer):
    recipe = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=MAX_ID,
        help_text="The id of the recipe whose rules, judges and gate score the answers; without it "
        "that of the rows it learnt from.",
    )
    sample_limit = serializers.IntegerField(
        required=False, min_value=1, max_value=MOST_SAMPLES, default=SAMPLE_LIMIT
    )


# --- training runs ---


class TrainingRunsView(ApiView):
    roles = {"GET": LEADS, "POST": OPERATORS}

    @operation(
        "list_training_runs",
        "All training runs, the newest first, with their last losses",
        tag=TAG,
        answers={200: page_of(TrainingLineSerializer)},
        errors=[400],
        query=TrainingQuery,
    )
    def get(self, request: Request) -> Response:
        asked = read(TrainingQuery, request.query_params)
        found = find_training_runs(state=asked.get("state", ""), tag=asked.get("tag", ""))
        return answer_page(request, keyset(found, asked), TrainingLineSerializer)

    @operation(
        "start_training",
        "Train a student on an export",
        description="It is queued for the `gpu` cluster. 409 where one is doing exactly this already.",
        tag=TAG,
        body=TrainingInput,
        answers={201: TrainingDetailSerializer},
        errors=[400, 409],
        examples={
            "The tiny student": {
                "export": 1,
                "spec": {"student": "tiny", "epochs": 3},
                "tags": ["gate-on"],
            }
        },
    )
    def post(self, request: Request) -> Response:
        given = read(TrainingInput, request.data)
        spec = _spec(given)
        export = Export.objects.filter(pk=given["export"]).first()
        if export is None:
            raise serializers.ValidationError({"export": ["There is no export with this id."]})
        run, is_new = start_once(spec=spec, export=export, user=request.user)
        if not is_new:
            raise ConflictError(f"Training run {run.pk} is doing exactly this already.")
        tasks.enqueue_training(run.pk)
        return Response(TrainingDetailSerializer(run).data, status=201)


class TrainingRunView(ApiView):
    roles = {"GET": LEADS}

    @operation(
        "get_training_run",
        "One training run with its spec and result",
        tag=TAG,
        answers={200: TrainingDetailSerializer},
        errors=[404],
    )
    def get(self, request: Request, pk: int) -> Response:
        found = get_object_or_404(all_training_runs(), pk=pk)
        return Response(TrainingDetailSerializer(found).data)


class TrainingSpecView(ApiView):
    roles = {"GET": LEADS}

    @operation(
        "get_training_spec",
        "The spec of a training run as YAML",
        tag=TAG,
        answers={(200, "application/yaml"): OpenApiResponse(OpenApiTypes.STR)},
        errors=[404],
    )
    def get(self, request: Request, pk: int) -> HttpResponse:
        found = get_object_or_404(TrainingRun, pk=pk)
        return HttpResponse(
            spec_yaml(found),
            content_type="application/yaml; charset=utf-8",
        )


class MetricsView(ApiView):
    roles = {"GET": LEADS}

    @operation(
        "list_metrics",
        "What a training run measured, the oldest first",
        tag=TAG,
        answers={200: page_of(MetricSerializer)},
        errors=[400, 404],
        query=MetricQuery,
    )
    def get(self, request: Request, pk: int) -> Response:
        asked = read(MetricQuery, request.query_params)
        found = get_object_or_404(TrainingRun, pk=pk).metrics.all()
        if "kind" in asked:
            found = found.filter(kind=asked["kind"])
        return answer_page(request, keyset(found, asked, ascending=True), MetricSerializer)


class StopTrainingView(ApiView):
    roles = {"POST": OPERATORS}

    @operation(
        "stop_training",
        "Ask a training to stop",
        description="It keeps a checkpoint. 409 where it is not active, or was asked before.",
        tag=TAG,
        answers={200: TrainingDetailSerializer},
        errors=[404, 409],
    )
    def post(self, request: Request, pk: int) -> Response:
        return _moved(pk, is_moved=request_stop(training_run_id=pk))


class ResumeTrainingView(ApiView):
    roles = {"POST": OPERATORS}

    @operation(
        "resume_training",
        "Take up a stopped, failed or lost training from its last whole checkpoint",
        tag=TAG,
        answers={200: TrainingDetailSerializer},
        errors=[404, 409],
    )
    def post(self, request: Request, pk: int) -> Response:
        is_moved = resume_training(training_run_id=pk)
        if is_moved:
            tasks.enqueue_training(pk)
        return _moved(pk, is_moved=is_moved)


# --- evaluations ---


class EvaluationsView(ApiView):
    roles = {"GET": LEADS, "POST": OPERATORS}

    @operation(
        "list_evaluations",
        "The evaluations of a training run, the newest first",
        tag=TAG,
        answers={200: page_of(EvaluationSerializer)},
        errors=[400, 404],
        query=PageQuery,
    )
    def get(self, request: Request, pk: int) -> Response:
        asked = read(PageQuery, request.query_params)
        found = get_object_or_404(TrainingRun, pk=pk).evaluations.all()
        return answer_page(request, keyset(found, asked), EvaluationSerializer)

    @operation(
        "start_evaluation",
        "Evaluate a student that is done, and its base",
        description="The same again while it goes on gives the same evaluation; one that failed or "
        "was stopped goes on where it was.",
        tag=TAG,
        body=EvaluationInput,
        answers={202: EvaluationDetailSerializer},
        errors=[400, 404, 409],
        examples={"Fifty held-out samples": {"sample_limit": 50}},
    )
    def post(self, request: Request, pk: int) -> Response:
        given = read(EvaluationInput, request.data)
        recipe = None
        if "recipe" in given:
            recipe = Recipe.objects.filter(pk=given["recipe"]).first()
            if recipe is None:
                raise serializers.ValidationError({"recipe": ["There is no recipe with this id."]})
        evaluation = start_evaluation(
            training_run=get_object_or_404(all_training_runs(), pk=pk),
            recipe=recipe,
            sample_limit=given["sample_limit"],
            user=request.user,
        )
        tasks.enqueue_evaluation(evaluation.pk)
        return Response(EvaluationDetailSerializer(evaluation).data, status=202)


class EvaluationView(ApiView):
    roles = {"GET": LEADS}

    @operation(
        "get_evaluation",
        "One evaluation with its report card",
        tag=TAG,
        answers={200: EvaluationDetailSerializer},
        errors=[404],
    )
    def get(self, request: Request, pk: int) -> Response:
        return Response(EvaluationDetailSerializer(get_object_or_404(Evaluation, pk=pk)).data)


class StopEvaluationView(ApiView):
    roles = {"POST": OPERATORS}

    @operation(
        "stop_evaluation",
        "Stop an evaluation; what was answered and scored stays",
        tag=TAG,
        answers={200: EvaluationDetailSerializer},
        errors=[404, 409],
    )
    def post(self, request: Request, pk: int) -> Response:
        is_stopped = stop_evaluation(evaluation_id=pk)
        found = get_object_or_404(Evaluation, pk=pk)
        if not is_stopped:
            raise ConflictError(f"Nothing was changed: evaluation {pk} is {found.state} already.")
        return Response(EvaluationDetailSerializer(found).data)


def _moved(pk: int, *, is_moved: bool) -> Response:
    """The run as it is after a change of its state, or why there was none."""
    run = get_object_or_404(all_training_runs(), pk=pk)
    if not is_moved:
        raise ConflictError(f"Nothing was changed: training run {pk} is {run.state} already.")
    return Response(TrainingDetailSerializer(run).data)


def _spec(given: Mapping[str, Any]) -> TrainSpec:
    """The spec that was sent, with the tags beside it; what is wrong stands at its field."""
    field = "spec_yaml" if "spec_yaml" in given else "spec"
    try:
        # JSON is YAML, so that both get the same words for what is wrong.
        text = given.get("spec_yaml") or orjson.dumps(given.get("spec", {})).decode()
        spec = load_spec(text)
    except (InputError, orjson.JSONEncodeError) as error:
        raise serializers.ValidationError({field: str(error).splitlines()}) from error
    if not given["tags"]:
        return spec
    tags = tuple(dict.fromkeys([*spec.tags, *given["tags"]]))
    try:
        return load_spec(dump_spec(spec.model_copy(update={"tags": tags})))
    except InputError as error:
        raise serializers.ValidationError({"tags": str(error).splitlines()}) from error


_RUNS, _RUN = "training-runs/", "training-runs/<int:pk>/"
urlpatterns: list[URLPattern] = [
    path(_RUNS, TrainingRunsView.as_view(), name="training_runs"),
    path(_RUN, TrainingRunView.as_view(), name="training_run"),
    path(f"{_RUN}spec/", TrainingSpecView.as_view(), name="training_spec"),
    path(f"{_RUN}metrics/", MetricsView.as_view(), name="metrics"),
    path(f"{_RUN}stop/", StopTrainingView.as_view(), name="stop_training"),
    path(f"{_RUN}resume/", ResumeTrainingView.as_view(), name="resume_training"),
    path(f"{_RUN}evaluations/", EvaluationsView.as_view(), name="evaluations"),
    path("evaluations/<int:pk>/", EvaluationView.as_view(), name="evaluation"),
    path("evaluations/<int:pk>/stop/", StopEvaluationView.as_view(), name="stop_evaluation"),
]
