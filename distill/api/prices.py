"""Prices: those that new runs reckon with, and a new version of them."""

from __future__ import annotations

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from distill.api.endpoints import MAX_ID, ApiView, InputSerializer, operation, read
from distill.api.permissions import LEADS, OPERATORS
from distill.logic.document_yaml import MAX_CHARS
from distill.logic.errors import InputError
from distill.logic.price_table import PriceTable, dump_price_table, load_price_table
from distill.models import PriceList
from distill.queries.prices import current_table, newest_price_list
from distill.services.price_lists import current_price_list, save_price_list

TAG = "prices"


class PriceSerializer(serializers.Serializer):
    input_per_million = serializers.FloatField()
    cached_input_per_million = serializers.FloatField(allow_null=True)
    output_per_million = serializers.FloatField()
    source = serializers.CharField(help_text="Where it was found.")
    found_on = serializers.DateField(allow_null=True, help_text="The day that the source gives.")
    notes = serializers.CharField()


class PriceListSerializer(serializers.Serializer):
    version = serializers.IntegerField(
        allow_null=True, help_text="Null while no run was made: the shipped table."
    )
    as_of = serializers.DateField()
    currency = serializers.CharField()
    prices = serializers.DictField(
        child=PriceSerializer(), help_text="By provider:model, for a million tokens."
    )
    yaml = serializers.CharField(help_text="What `save_prices` takes back unchanged.")


class PricesInput(InputSerializer):
    yaml = serializers.CharField(
        max_length=MAX_CHARS, trim_whitespace=False, help_text="The whole table."
    )
    note = serializers.CharField(
        required=False, max_length=200, default="", allow_blank=True, help_text="What was changed."
    )
    based_on = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=MAX_ID,
        help_text="The version that was changed: 409 where it is not the current one any more.",
    )


class PricesView(ApiView):
    roles = {"GET": LEADS, "POST": OPERATORS}

    @operation(
        "get_prices",
        "The prices that new runs reckon with",
        description="A model that is not listed is unpriced: its cost is unknown, and it takes no "
        "budget. A run keeps the version it was made with.",
        tag=TAG,
        answers={200: PriceListSerializer},
    )
    def get(self, request: Request) -> Response:
        return Response(_shown(newest_price_list(), current_table()))

    @operation(
        "save_prices",
        "Save the price table as a new version",
        description="The same table again gives the version that holds it: 200.",
        tag=TAG,
        body=PricesInput,
        answers={201: PriceListSerializer, 200: PriceListSerializer},
        errors=[400, 409],
        examples={
            "One model": {
                "yaml": "as_of: 2026-11-23\nprices:\n  openai:my-model:\n"
                "    input_per_million: 1\n    output_per_million: 4\n"
            }
        },
    )
    def post(self, request: Request) -> Response:
        given = read(PricesInput, request.data)
        try:
            table = load_price_table(given["yaml"])
        except InputError as error:
            raise serializers.ValidationError({"yaml": str(error).splitlines()}) from error
        before = current_price_list()
        based_on = before
        if "based_on" in given:
            named = PriceList.objects.filter(pk=given["based_on"]).first()
            if named is None:
                raise serializers.ValidationError({"based_on": ["There is no such version."]})
            based_on = named
        saved = save_price_list(
            table=table, based_on=based_on, note=given["note"], user=request.user
        )
        return Response(_shown(saved, table), status=200 if saved == before else 201)


def _shown(version: PriceList | None, table: PriceTable) -> dict[str, object]:
    content = {
        "version": version.pk if version else None,
        "yaml": dump_price_table(table),
        **table.model_dump(),
    }
    return dict(PriceListSerializer(content).data)
