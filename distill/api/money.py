"""A run's money: what was spent on what, another budget, what was possibly billed."""

from __future__ import annotations

from decimal import Decimal

from django.shortcuts import get_object_or_404
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from distill.api.endpoints import ApiView, InputSerializer, operation, read
from distill.api.permissions import LEADS, OPERATORS
from distill.api.runs import MoneyField
from distill.models import Run
from distill.queries.money import run_money
from distill.queries.runs import all_runs
from distill.services.raise_budget import raise_budget
from distill.services.settle_lost import settle_lost

TAG = "runs"
NANO = 1_000_000_000


class ShareSerializer(serializers.Serializer):
    """What a stage or a template cost; `unpriced` purchases are in no sum."""

    label = serializers.CharField()
    purchases = serializers.IntegerField()
    unpriced = serializers.IntegerField()
    spent_usd = MoneyField(source="spent_nano")
    prompt_tokens = serializers.IntegerField()
    cached_tokens = serializers.IntegerField(help_text="Of the prompt's.")
    completion_tokens = serializers.IntegerField()


class LostSerializer(serializers.Serializer):
    """Sent without a reply by a worker that has ended: at most `at_most_usd` was billed."""

    purchases = serializers.IntegerField()
    at_most_usd = MoneyField(source="nano")
    unpriced = serializers.IntegerField()


class RunMoneySerializer(serializers.Serializer):
    budget_usd = MoneyField(source="budget_nano", allow_null=True)
    spent_usd = MoneyField(source="spent_nano")
    in_flight = serializers.IntegerField()
    granted_usd = MoneyField(source="granted_nano", help_text="Reserved for what is in flight.")
    possibly_billed = LostSerializer(source="lost")
    left_usd = MoneyField(source="left_nano", allow_null=True)
    unpriced = serializers.IntegerField(help_text="Purchases whose cost is not known.")
    stages = ShareSerializer(many=True)
    templates = ShareSerializer(many=True)
    accepted = serializers.IntegerField(help_text="Samples × draws.")
    accepted_basis = serializers.CharField()
    per_accepted_usd = MoneyField(source="per_accepted_nano", allow_null=True)
    from_ledger = serializers.IntegerField(source="known")
    saved_usd = MoneyField(source="saved_nano")


class _UsdField(serializers.DecimalField):
    def __init__(self, *, at_least: str, **more: object) -> None:
        super().__init__(
            max_digits=16,
            decimal_places=9,
            min_value=Decimal(at_least),
            max_value=Decimal(9_000_000),
            **more,
        )


class BudgetInput(InputSerializer):
    budget_usd = _UsdField(
        at_least="0.000001", help_text="Not below what is spent and reserved: 400."
    )


class SettleInput(InputSerializer):
    billed_usd = _UsdField(
        at_least="0",
        allow_null=True,
        help_text="What the provider billed for all of them together; 0 for nothing, null for all "
        "of them at their upper bounds.",
    )


class SettledSerializer(serializers.Serializer):
    settled = serializers.IntegerField(source="purchases", help_text="0 when asked again.")
    usd = MoneyField(source="nano")


class MoneyView(ApiView):
    roles = {"GET": LEADS}

    @operation(
        "get_run_money",
        "What a run spent, by stage, by template and for each accepted sample",
        description="Amounts are US dollars as text. What has no price is counted, never summed.",
        tag=TAG,
        answers={200: RunMoneySerializer},
        errors=[404],
    )
    def get(self, request: Request, pk: int) -> Response:
        run = get_object_or_404(all_runs(), pk=pk)
        return Response(RunMoneySerializer(run_money(run, now=timezone.now())).data)


class BudgetView(ApiView):
    roles = {"POST": OPERATORS}

    @operation(
        "raise_budget",
        "Give a run another budget",
        description="Also while it is active; `resume_run` lets one that stopped go on.",
        tag=TAG,
        body=BudgetInput,
        answers={200: RunMoneySerializer},
        errors=[400, 404],
    )
    def post(self, request: Request, pk: int) -> Response:
        get_object_or_404(Run, pk=pk)
        given = read(BudgetInput, request.data)
        raise_budget(run_id=pk, budget_nano=int(given["budget_usd"] * NANO), user=request.user)
        run = get_object_or_404(all_runs(), pk=pk)
        return Response(RunMoneySerializer(run_money(run, now=timezone.now())).data)


class SettleView(ApiView):
    roles = {"POST": OPERATORS}

    @operation(
        "settle_lost",
        "Book what was possibly billed",
        description="Only requests that nobody can answer any more, each once: asked again, it "
        "settles none.",
        tag=TAG,
        body=SettleInput,
        answers={200: SettledSerializer},
        errors=[400, 404],
    )
    def post(self, request: Request, pk: int) -> Response:
        get_object_or_404(Run, pk=pk)
        billed = read(SettleInput, request.data)["billed_usd"]
        amount = None if billed is None else int(billed * NANO)
        settled = settle_lost(run_id=pk, amount_nano=amount, user=request.user)
        return Response(SettledSerializer(settled).data)
