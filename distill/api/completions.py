"""Completions: found by what they are, and one with everything that was said of it.

Open to those who see the site's pages on completions. Reviewers do not: what a judge said stays
hidden from whoever has still to decide.
"""

from __future__ import annotations

from typing import Any

from django.http import Http404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from distill.api.endpoints import (
    MAX_ID,
    ApiView,
    InputSerializer,
    Page,
    answer_page,
    operation,
    page_of,
    read,
)
from distill.api.permissions import LEADS
from distill.logic.reasons import Reason, Stage
from distill.models import (
    Completion,
    CompletionState,
    Dataset,
    Decision,
    Judgement,
    Label,
    Verdict,
)
from distill.queries.completion_detail import completion_detail
from distill.queries.completions import PAGE_SIZE, WINDOW, CompletionFilter, find_completions

TAG = "completions"
_REASONS = [reason.value for reason in Reason]


# --- shapes ---


class LabelSerializer(serializers.ModelSerializer):
    class Meta:
        model = Label
        fields = ("outcome", "basis", "updated_at")


class StateSerializer(serializers.ModelSerializer):
    class Meta:
        model = CompletionState
        fields = ("state", "is_open", "reasons", "mean_score")


class FoundCompletionSerializer(serializers.Serializer):
    """A completion of a list. The whole answer stands in its own address."""

    id = serializers.IntegerField(source="completion.pk")
    key = serializers.CharField(source="completion.key")
    dataset = serializers.IntegerField(source="state.dataset_id", allow_null=True)
    sample = serializers.IntegerField(source="completion.sample_id")
    sample_key = serializers.CharField(source="completion.sample.key")
    domain = serializers.CharField(source="completion.sample.domain")
    template_name = serializers.CharField(source="completion.template_name")
    draw = serializers.IntegerField(source="completion.draw")
    attempt = serializers.IntegerField(source="completion.attempt")
    teacher = serializers.CharField(source="completion.teacher")
    answer = serializers.DictField(source="completion.fields", help_text="Its parsed fields.")
    state = serializers.ChoiceField(CompletionState.State.choices, source="state.state")
    reasons = serializers.ListField(child=serializers.CharField(), source="state.reasons")
    mean_score = serializers.FloatField(source="state.mean_score", allow_null=True)
    label = LabelSerializer(allow_null=True)


class SampleOfSerializer(serializers.Serializer):
    id = serializers.IntegerField(source="pk")
    key = serializers.CharField()
    source_key = serializers.CharField()
    split = serializers.CharField()
    domain = serializers.CharField()
    title = serializers.CharField()
    instruction = serializers.CharField()
    text = serializers.CharField()


class JudgementSerializer(serializers.ModelSerializer):
    scores = serializers.DictField(child=serializers.FloatField())

    class Meta:
        model = Judgement
        fields = (
            *("id", "judge", "teacher", "rubric_version", "scores", "mean_score", "rationale"),
            *("flags", "error", "created_at"),
        )


class VerdictSerializer(serializers.ModelSerializer):
    recipe = serializers.CharField(source="recipe.__str__")
    evidence = serializers.ListField(child=serializers.DictField())

    class Meta:
        model = Verdict
        fields = (
            *("id", "run", "recipe", "passed", "stage", "reasons", "evidence", "mean_score"),
            "created_at",
        )


class DecisionSerializer(serializers.ModelSerializer):
    reviewer = serializers.CharField(source="reviewer.username")
    edited_fields = serializers.DictField(
        source="fields", allow_null=True, help_text="An edit's new fields."
    )

    class Meta:
        model = Decision
        fields = (
            *("id", "completion", "reviewer", "kind", "reasons", "note", "edited_fields"),
            *("undoes", "client_id", "created_at"),
        )


class AttemptSerializer(serializers.Serializer):
    id = serializers.IntegerField(source="pk")
    parent = serializers.IntegerField(source="parent_id", allow_null=True)
    attempt = serializers.IntegerField()
    teacher = serializers.CharField()
    state = serializers.CharField(source="state_row.state")
    is_open = serializers.BooleanField(source="state_row.is_open")


class CompletionDetailSerializer(serializers.Serializer):
    """A completion; `attempts` is its lineage: all of its sample × draw, itself among them."""

    id = serializers.IntegerField(source="completion.pk")
    key = serializers.CharField(source="completion.key")
    sample = SampleOfSerializer(source="completion.sample")
    dataset = serializers.IntegerField(source="completion.sample.dataset_id")
    parent = serializers.IntegerField(source="completion.parent_id", allow_null=True)
    draw = serializers.IntegerField(source="completion.draw")
    attempt = serializers.IntegerField(source="completion.attempt")
    origin = serializers.ChoiceField(Completion.Origin.choices, source="completion.origin")
    teacher = serializers.CharField(source="completion.teacher")
    model = serializers.CharField(source="completion.model")
    template_name = serializers.CharField(source="completion.template_name")
    text = serializers.CharField(source="completion.text", help_text="As it arrived.")
    answer = serializers.DictField(source="completion.fields", help_text="Its parsed fields.")
    finish_reason = serializers.CharField(source="completion.finish_reason")
    prompt_tokens = serializers.IntegerField(source="completion.prompt_tokens", allow_null=True)
    completion_tokens = serializers.IntegerField(
        source="completion.completion_tokens", allow_null=True
    )
    latency_ms = serializers.IntegerField(source="completion.latency_ms", allow_null=True)
    created_at = serializers.DateTimeField(source="completion.created_at")
    state = StateSerializer(allow_null=True)
    label = LabelSerializer(allow_null=True)
    judgements = JudgementSerializer(many=True)
    verdicts = VerdictSerializer(many=True)
    decisions = DecisionSerializer(many=True)
    attempts = AttemptSerializer(many=True)


class CompletionQuery(InputSerializer):
    after = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=MAX_ID,
        help_text="Where the page begins: see `next`.",
    )
    dataset = serializers.IntegerField(required=False, min_value=1, max_value=MAX_ID)
    run = serializers.IntegerField(required=False, min_value=1, max_value=MAX_ID)
    state = serializers.ChoiceField(CompletionState.State.choices, required=False)
    label = serializers.ChoiceField(
        [*Label.Outcome.values, "none"], required=False, help_text="`none`: nobody has decided it."
    )
    reason = serializers.ChoiceField(_REASONS, required=False)
    stage = serializers.ChoiceField([stage.value for stage in Stage], required=False)
    domain = serializers.CharField(required=False, max_length=100)
    template = serializers.CharField(required=False, max_length=100)
    attempt = serializers.IntegerField(required=False, min_value=1, max_value=100)
    teacher = serializers.CharField(required=False, max_length=200)
    text = serializers.CharField(
        required=False, min_length=3, max_length=200, help_text="In the answer; needs `dataset`."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "text" in attrs and "dataset" not in attrs:
            raise serializers.ValidationError({"text": ["Say in which dataset to search."]})
        return attrs


# --- endpoints ---


class CompletionsView(ApiView):
    roles = {"GET": LEADS}

    @operation(
        "list_completions",
        "Completions that match the filters, the newest first",
        description=f"A page has {PAGE_SIZE}. A page may have fewer, or none, and still a `next`: of "
        f"filters that no index serves, {WINDOW:,} completions are looked at for each page.",
        tag=TAG,
        answers={200: page_of(FoundCompletionSerializer)},
        errors=[400],
        query=CompletionQuery,
    )
    def get(self, request: Request) -> Response:
        asked = read(CompletionQuery, request.query_params)
        after = asked.pop("after", None)
        page = find_completions(_filter(asked), after=after)
        return answer_page(request, Page(page.rows, page.next), FoundCompletionSerializer)


class CompletionView(ApiView):
    roles = {"GET": LEADS}

    @operation(
        "get_completion",
        "One completion with verdicts, judgements, decisions and lineage",
        tag=TAG,
        answers={200: CompletionDetailSerializer},
        errors=[404],
    )
    def get(self, request: Request, pk: int) -> Response:
        detail = completion_detail(pk)
        if detail is None:
            raise Http404("There is no such completion.")
        return Response(CompletionDetailSerializer(detail).data)


def _filter(asked: dict[str, Any]) -> CompletionFilter:
    run_id, dataset_id = asked.pop("run", None), asked.pop("dataset", None)
    dataset = None
    if dataset_id is not None:
        dataset = Dataset.objects.filter(pk=dataset_id).first()
        if dataset is None:
            raise serializers.ValidationError({"dataset": ["There is no dataset with this id."]})
    return CompletionFilter(dataset=dataset, run_id=run_id, **asked)
