"""A dataset's gate: what it does, what other settings would do, and those kept as a version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from distill import tasks
from distill.api.endpoints import ApiView, InputSerializer, operation, read
from distill.api.permissions import LEADS, OPERATORS
from distill.api.recipes import RecipeSerializer
from distill.logic.errors import InputError
from distill.logic.gate_settings import SCORES, THRESHOLDS, Value, moved, numbers_of
from distill.logic.rules import RULES, RulesConfig
from distill.logic.what_if import GROUPS, Settings
from distill.models import Dataset, Recipe
from distill.queries.gate_page import read_gate
from distill.queries.gate_report import count_samples, gate_report, known_dimensions
from distill.queries.snapshot import base_content, base_recipe, load_snapshot
from distill.services.save_gate import save_gate
from distill.services.snapshots import count_candidates, take_snapshot

TAG = "gate"
TAKEN_AT_ONCE = 2_000
_SCORE = "score."
_NAMES = (
    "Names are those of the page's form; what is left out stays as in the recipe of the dataset's "
    "latest run. `score.<dimension>` is the lowest score of a dimension of the rubric, 0 for none."
)


# --- shapes ---


class SettingsInput(InputSerializer):
    """Thresholds, the rules' switches by their codes, and the numbers that they need."""

    def get_fields(self) -> dict[str, serializers.Field]:
        fields: dict[str, serializers.Field] = super().get_fields()
        fields |= {name: serializers.FloatField(required=False) for name in THRESHOLDS}
        for rule in RULES:
            fields[rule.switch] = serializers.BooleanField(
                required=False, default=serializers.empty, help_text=rule.label
            )
            for name in numbers_of(rule):
                fields[name] = serializers.FloatField(required=False)
        return fields

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Names of dimensions are the rubric's, so that no field here can know them."""
        if not isinstance(data, Mapping):
            return super().to_internal_value(data)
        scores = {name: data[name] for name in data if str(name).startswith(_SCORE)}
        rest = {name: data[name] for name in data if name not in scores}
        return super().to_internal_value(rest) | {
            name: _number(name, value) for name, value in scores.items()
        }


def _number(name: str, value: Any) -> float:
    try:
        return float(serializers.FloatField().run_validation(value))
    except serializers.ValidationError as error:
        raise serializers.ValidationError({name[:100]: error.detail}) from error


class GateQuery(SettingsInput):
    """What to move, of which part of the dataset, and by what it is told apart."""

    template = serializers.CharField(required=False, allow_blank=True, max_length=200)
    domain = serializers.CharField(required=False, allow_blank=True, max_length=200)
    prompt_version = serializers.CharField(required=False, allow_blank=True, max_length=200)
    teacher = serializers.CharField(required=False, allow_blank=True, max_length=300)
    attempt = serializers.CharField(required=False, allow_blank=True, max_length=10)
    by = serializers.ChoiceField(GROUPS, required=False, default=GROUPS[0])


class GateStepSerializer(serializers.Serializer):
    label = serializers.CharField()
    count = serializers.IntegerField(help_text="How many are left after this step.")
    lost = serializers.IntegerField(help_text="How many it was the first to take.")
    hits = serializers.IntegerField(help_text="How many it hits, with those taken before.")


class AgreementSerializer(serializers.Serializer):
    """The gate beside what people decided, in completions."""

    both_yes = serializers.IntegerField()
    only_gate = serializers.IntegerField()
    only_people = serializers.IntegerField()
    both_no = serializers.IntegerField()
    total = serializers.IntegerField()
    agreed = serializers.IntegerField()


class OutcomeSerializer(serializers.Serializer):
    total = serializers.IntegerField()
    passed = serializers.IntegerField()
    accepted = serializers.IntegerField(help_text="What an export by the gate takes.")
    must_review = serializers.IntegerField(help_text="Passed with a flag that nobody has lifted.")
    unjudged = serializers.IntegerField(help_text="A judge would have to be asked.")
    exported = serializers.IntegerField()
    unpriced = serializers.IntegerField()
    cost_usd = serializers.CharField(allow_null=True)
    cost_per_accepted_usd = serializers.CharField(allow_null=True)
    agreement = AgreementSerializer()


class ReasonCountSerializer(serializers.Serializer):
    code = serializers.CharField()
    label = serializers.CharField()
    is_flag = serializers.BooleanField()
    now = serializers.IntegerField()
    then = serializers.IntegerField()


class ChangeSerializer(serializers.Serializer):
    completion = serializers.IntegerField()
    passes = serializers.BooleanField(help_text="To which side it would change.")
    why = serializers.ListField(child=serializers.CharField())
    mean_score = serializers.FloatField(allow_null=True)
    label = serializers.CharField(allow_null=True, help_text="What people decided.")
    excerpt = serializers.CharField()


class GroupSerializer(serializers.Serializer):
    name = serializers.CharField()
    total = serializers.IntegerField()
    passed = serializers.IntegerField()
    accepted = serializers.IntegerField()


class GateOutcomeSerializer(serializers.Serializer):
    settings = serializers.DictField(help_text="`gate` and `rules`, as a recipe writes them.")
    is_changed = serializers.BooleanField()
    alert = serializers.CharField(allow_null=True, help_text="Under 10 % or over 95 % pass.")
    waterfall = GateStepSerializer(many=True)
    now = OutcomeSerializer()
    then = OutcomeSerializer()
    agreement_interval = serializers.ListField(
        child=serializers.FloatField(),
        allow_null=True,
        source="then.agreement_interval",
        help_text="Wilson's 95 % interval of agreed / total, then.",
    )
    reasons = ReasonCountSerializer(many=True)
    changes = ChangeSerializer(many=True, help_text="At most 20.")
    groups = GroupSerializer(many=True)


class GateSerializer(serializers.Serializer):
    """Without a snapshot there is no outcome: have one taken."""

    dataset = serializers.IntegerField()
    recipe = serializers.IntegerField(allow_null=True, help_text="Of the latest run.")
    taken_at = serializers.DateTimeField(allow_null=True)
    is_stale = serializers.BooleanField(help_text="Something has happened since.")
    outcome = GateOutcomeSerializer(allow_null=True)


class RuleSerializer(serializers.Serializer):
    code = serializers.CharField()
    label = serializers.CharField()
    says = serializers.CharField()
    is_flag = serializers.BooleanField(help_text="It rejects nothing; a person must look.")
    settings = serializers.DictField(help_text="By name, with the values of a new recipe.")


# --- endpoints ---


class GateView(ApiView):
    roles = {"GET": LEADS}

    @operation(
        "get_gate",
        "What the gate does, and would do with other settings",
        description=f"Asks no model and changes nothing. {_NAMES} `outcome` is null before the "
        "first `refresh_gate`.",
        tag=TAG,
        answers={200: GateSerializer},
        errors=[400, 404],
        query=GateQuery,
    )
    def get(self, request: Request, pk: int) -> Response:
        dataset = get_object_or_404(Dataset, pk=pk)
        given = read(GateQuery, request.query_params)
        group = given.pop("by")
        query = {name: given.pop(name) for name in GROUPS if name in given}
        asked = _settings(dataset, given)
        return Response(_answer(dataset, asked, query=query, group=group))


class RefreshGateView(ApiView):
    roles = {"POST": LEADS}

    @operation(
        "refresh_gate",
        "Look at all completions anew",
        description=f"Up to {TAKEN_AT_ONCE:,} at once: 200 with the outcome. More are read by a "
        "worker: 202; ask for the gate until `is_stale` is false.",
        tag=TAG,
        answers={200: GateSerializer, 202: OpenApiResponse(description="A worker reads them.")},
        errors=[404],
    )
    def post(self, request: Request, pk: int) -> Response:
        dataset = get_object_or_404(Dataset, pk=pk)
        if count_candidates(dataset, limit=TAKEN_AT_ONCE) > TAKEN_AT_ONCE:
            tasks.enqueue_snapshot(dataset.pk)
            return Response(status=202)
        take_snapshot(dataset=dataset)
        return Response(_answer(dataset, _settings(dataset, {}), query={}, group=GROUPS[0]))


class SaveGateView(ApiView):
    roles = {"POST": OPERATORS}

    @operation(
        "save_gate",
        "Keep the settings as a new version of the recipe",
        description=f"{_NAMES} 201, or 200 with the version that has the same settings already. A "
        "run of the kind `reevaluate` with it decides stored answers anew.",
        tag=TAG,
        body=SettingsInput,
        answers={201: RecipeSerializer, 200: RecipeSerializer},
        errors=[400, 404, 409],
        examples={
            "A lower threshold": {"min_mean": 0.7, "score.grounding": 0.6, "citation": False}
        },
    )
    def post(self, request: Request, pk: int) -> Response:
        dataset = get_object_or_404(Dataset, pk=pk)
        settings = _settings(dataset, read(SettingsInput, request.data))
        newest = Recipe.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        try:
            recipe = save_gate(dataset=dataset, settings=settings, user=request.user)
        except ValueError as error:
            raise InputError(str(error)) from error
        status = 201 if recipe.pk > newest else 200
        return Response(RecipeSerializer(recipe).data, status=status)


class RulesView(ApiView):
    roles = {"GET": LEADS}

    @operation(
        "list_rules",
        "Every rule with its code, label and settings",
        tag=TAG,
        answers={200: RuleSerializer(many=True)},
    )
    def get(self, request: Request) -> Response:
        defaults = RulesConfig().model_dump(mode="json")
        rows = [
            {
                "code": rule.switch,
                "label": rule.label,
                "says": rule.says,
                "is_flag": rule.code.is_flag,
                "settings": {name: defaults[name] for name in (rule.switch, *rule.settings)},
            }
            for rule in RULES
        ]
        return Response(RuleSerializer(rows, many=True).data)


def _settings(dataset: Dataset, given: Mapping[str, Value]) -> Settings:
    content = base_content(dataset)
    changes = {_dotted(name): value for name, value in given.items()}
    known = known_dimensions(content, load_snapshot(dataset))
    return moved(Settings.of(content), changes, dimensions=known)


def _dotted(name: str) -> str:
    if name.startswith(_SCORE):
        return SCORES + name.removeprefix(_SCORE)
    return f"gate.{name}" if name in THRESHOLDS else f"rules.{name}"


def _answer(
    dataset: Dataset, asked: Settings, *, query: Mapping[str, str], group: str
) -> dict[str, Any]:
    snapshot, recipe, content = load_snapshot(dataset), base_recipe(dataset), base_content(dataset)
    report = None
    if snapshot:
        page = read_gate(
            snapshot,
            dataset,
            base=Settings.of(content),
            asked=asked,
            query=query,
            group=group,
            num_asked=count_samples(dataset) * content.teacher.draws,
        )
        report = gate_report(page, asked)
    told = {
        "dataset": dataset.pk,
        "recipe": recipe.pk if recipe else None,
        "taken_at": snapshot.taken_at if snapshot else None,
        "is_stale": snapshot is None or snapshot.is_stale,
        "outcome": report,
    }
    answer: dict[str, Any] = GateSerializer(told).data
    return answer
