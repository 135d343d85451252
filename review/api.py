"""Decisions: what people said of completions, said and taken back through the API."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from django.urls import URLPattern, path
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from distill.api.completions import DecisionSerializer
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
from distill.api.permissions import REVIEWERS
from distill.http import RoleName, has_role
from distill.logic.errors import InputError
from distill.logic.reasons import REVIEWER_REASONS, Reason
from distill.models import Completion, Decision
from distill.services.decide import KINDS, record_decision
from distill.services.undo import undo_decision
from review.models import Slot
from review.queries.place import find_place
from review.services.settle import settle_slot
from review.services.undo import undo_last

TAG = "decisions"
REASONS = [(reason.value, reason.label) for reason in REVIEWER_REASONS]
_SEERS: tuple[RoleName, ...] = ("reviewer", "lead", "operator")
_CLIENT_ID = (
    "An id of yours: the same one again changes nothing, so that sending twice is harmless."
)


class DecisionQuery(PageQuery):
    completion = serializers.IntegerField(required=False, min_value=1, max_value=MAX_ID)
    dataset = serializers.IntegerField(required=False, min_value=1, max_value=MAX_ID)


class DecisionInput(InputSerializer):
    completion = serializers.IntegerField(min_value=1, max_value=MAX_ID, help_text="Its id.")
    kind = serializers.ChoiceField([kind.value for kind in KINDS])
    reasons = serializers.ListField(
        child=serializers.ChoiceField(REASONS),
        required=False,
        default=list,
        max_length=len(REVIEWER_REASONS),
        help_text="A rejection needs one or more, nothing else takes any.",
    )
    note = serializers.CharField(required=False, allow_blank=True, max_length=2000, default="")
    client_id = serializers.UUIDField(required=False, help_text=_CLIENT_ID)


class UndoInput(InputSerializer):
    client_id = serializers.UUIDField(required=False, help_text=_CLIENT_ID)


class DecisionsView(ApiView):
    roles = {"GET": _SEERS, "POST": REVIEWERS}

    @operation(
        "list_decisions",
        "Decisions, the newest first; a reviewer's own, everybody's for leads and operators",
        tag=TAG,
        answers={200: page_of(DecisionSerializer)},
        errors=[400],
        query=DecisionQuery,
    )
    def get(self, request: Request) -> Response:
        asked = read(DecisionQuery, request.query_params)
        found = _visible(request)
        if "completion" in asked:
            found = found.filter(completion=asked["completion"])
        if "dataset" in asked:
            found = found.filter(completion__sample__dataset=asked["dataset"])
        return answer_page(request, keyset(found, asked), DecisionSerializer)

    @operation(
        "create_decision",
        "Accept, reject or skip a completion",
        description="It settles the completion's place in its queue: the person's own, else a free "
        "one. 409 where others have every place, where the queue's guidelines are not read, and "
        "where the person has decided it already. What stands in no queue is decided by leads alone.",
        tag=TAG,
        body=DecisionInput,
        answers={201: DecisionSerializer, 200: DecisionSerializer},
        errors=[400, 409],
        examples={
            "A rejection that may be sent twice": {
                "completion": 1,
                "kind": "reject",
                "reasons": [REVIEWER_REASONS[0].value],
                "client_id": "0b9f3c1e-4a52-4d1c-9b8e-6f0a3f0f7d11",
            }
        },
    )
    def post(self, request: Request) -> Response:
        given = read(DecisionInput, request.data)
        given.setdefault("client_id", uuid.uuid4())
        is_stored = Decision.objects.filter(client_id=given["client_id"]).exists()
        decision = _decide(request, given, is_stored=is_stored)
        return Response(DecisionSerializer(decision).data, status=200 if is_stored else 201)


class DecisionView(ApiView):
    roles = {"GET": _SEERS}

    @operation(
        "get_decision",
        "One decision",
        tag=TAG,
        answers={200: DecisionSerializer},
        errors=[404],
    )
    def get(self, request: Request, pk: int) -> Response:
        return Response(DecisionSerializer(_found(request, pk)).data)


class UndoDecisionView(ApiView):
    roles = {"POST": REVIEWERS}

    @operation(
        "undo_decision",
        "Take one's own decision back",
        description="Adds the decision that undoes it; the completion's card is the person's again "
        "where its place is still free. Undoing again gives the undo that is stored.",
        tag=TAG,
        body=UndoInput,
        answers={200: DecisionSerializer},
        errors=[400, 404, 409],
    )
    def post(self, request: Request, pk: int) -> Response:
        given = read(UndoInput, request.data)
        decision = _found(request, pk)
        if decision.reviewer_id != request.user.pk:
            raise InputError("It is somebody else's decision: only they can take it back.")
        _undo(request, decision, given.get("client_id") or uuid.uuid4())
        undo = Decision.objects.select_related("reviewer").get(undoes=decision)
        return Response(DecisionSerializer(undo).data)


def _visible(request: Request) -> QuerySet[Decision]:
    """Everybody's for who sees completions, else one's own."""
    decisions = Decision.objects.select_related("reviewer")
    sees_all = has_role(request.user, "lead", "operator")
    return decisions if sees_all else decisions.filter(reviewer=request.user)


def _found(request: Request, pk: int) -> Decision:
    decision = _visible(request).filter(pk=pk).first()
    if decision is None:
        raise Http404("There is no such decision.")
    return decision


def _decide(request: Request, given: Mapping[str, Any], *, is_stored: bool) -> Decision:
    """Through the queue that the completion stands in, where there is one."""
    said = {
        "reviewer": request.user,
        "kind": given["kind"],
        "reasons": [Reason(code) for code in given["reasons"]],
        "note": given["note"],
        "client_id": given["client_id"],
    }
    if is_stored:
        # Sent before: nothing is looked at but whose it is.
        return record_decision(completion_id=given["completion"], **said)
    slot = find_place(completion_id=given["completion"], reviewer=request.user)
    if slot is not None:
        return settle_slot(slot_id=slot.pk, lease_token=None, now=timezone.now(), **said).decision
    is_there = Completion.objects.filter(pk=given["completion"]).exists()
    if not (is_there and has_role(request.user, "lead")):
        raise serializers.ValidationError(
            {"completion": ["No queue of yours holds a completion with this id."]}
        )
    # Who decides outside a queue can read what the judges said.
    return record_decision(completion_id=given["completion"], judge_seen=True, **said)


def _undo(request: Request, decision: Decision, client_id: uuid.UUID) -> None:
    slots = Slot.objects.filter(completion=decision.completion_id).order_by("number")
    slot = slots.filter(decision=decision).first() or slots.first()
    if slot is None:
        undo_decision(decision_id=decision.pk, reviewer=request.user, client_id=client_id)
        return
    undo_last(
        queue_id=slot.queue_id,
        reviewer=request.user,
        client_id=client_id,
        decision_id=decision.pk,
        now=timezone.now(),
    )


urlpatterns: list[URLPattern] = [
    path("decisions/", DecisionsView.as_view(), name="decisions"),
    path("decisions/<int:pk>/", DecisionView.as_view(), name="decision"),
    path("decisions/<int:pk>/undo/", UndoDecisionView.as_view(), name="undo_decision"),
]
