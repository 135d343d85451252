"""Exports: make one, look at its manifest, download its files."""

from __future__ import annotations

from django.http import FileResponse, Http404
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from distill import tasks
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
from distill.api.permissions import LEADS
from distill.logic.sft_configs import CONFIGS
from distill.models import Dataset, Export
from distill.queries.eligible import count_eligible
from distill.queries.exports import ExportView as StoredExport
from distill.queries.exports import all_exports, named_file
from distill.services.export import export_dataset

TAG = "exports"


class ExportSerializer(serializers.ModelSerializer):
    dataset_name = serializers.CharField(source="dataset.name")
    counts = serializers.DictField(
        source="manifest.counts",
        child=serializers.IntegerField(),
        help_text="Rows: total, train, validation, test.",
    )

    class Meta:
        model = Export
        fields: tuple[str, ...] = (
            *("id", "dataset", "dataset_name", "version", "policy", "content_sha256"),
            *("counts", "created_at"),
        )


class ExportDetailSerializer(ExportSerializer):
    files = serializers.ListField(
        child=serializers.DictField(),
        source="manifest.files",
        help_text="Name, size and sha256 of each; `name` goes into the address of the download.",
    )
    manifest = serializers.DictField()

    class Meta(ExportSerializer.Meta):
        fields: tuple[str, ...] = (*ExportSerializer.Meta.fields, "files", "manifest")


class ExportQuery(PageQuery):
    dataset = serializers.IntegerField(required=False, min_value=1, max_value=MAX_ID)


class ExportInput(InputSerializer):
    dataset = serializers.IntegerField(min_value=1, max_value=MAX_ID, help_text="Its id.")
    configs = serializers.ListField(
        child=serializers.ChoiceField(list(CONFIGS)),
        required=False,
        default=list,
        help_text="The forms to write beside `messages`; the recipe's where none is named.",
    )
    rows_per_shard = serializers.IntegerField(
        required=False,
        min_value=1_000,
        max_value=10_000_000,
        help_text="Rows in one Parquet file at most; where it is not said, the recipe's.",
    )
    policy = serializers.ChoiceField(
        Export.Policy.choices,
        required=False,
        default=Export.Policy.REVIEWED.value,
        help_text="`gate`: passed the gate. `reviewed`: a person accepted it. `gold`: people agreed.",
    )


class ExportsView(ApiView):
    roles = {"GET": LEADS, "POST": LEADS}

    @operation(
        "list_exports",
        "All exports, the newest first",
        tag=TAG,
        answers={200: page_of(ExportSerializer)},
        errors=[400],
        query=ExportQuery,
    )
    def get(self, request: Request) -> Response:
        asked = read(ExportQuery, request.query_params)
        found = all_exports()
        if "dataset" in asked:
            found = found.filter(dataset=asked["dataset"])
        return answer_page(request, keyset(found, asked), ExportSerializer)

    @operation(
        "create_export",
        "Freeze what is eligible of a dataset",
        description=f"Up to {tasks.EXPORTED_AT_ONCE:,} rows are written at once: 201, or 200 with "
        "the export that holds the very same rows already. More are written by a worker: 202 "
        "without a body; the export then appears in the list of its dataset.",
        tag=TAG,
        body=ExportInput,
        answers={
            201: ExportDetailSerializer,
            200: ExportDetailSerializer,
            202: OpenApiResponse(description="A worker writes it."),
        },
        errors=[400],
        examples={"What people accepted": {"dataset": 1, "policy": "reviewed"}},
    )
    def post(self, request: Request) -> Response:
        given = read(ExportInput, request.data)
        dataset = Dataset.objects.filter(pk=given["dataset"]).first()
        if dataset is None:
            raise serializers.ValidationError({"dataset": ["There is no dataset with this id."]})
        if count_eligible(dataset=dataset, policy=given["policy"]) > tasks.EXPORTED_AT_ONCE:
            tasks.enqueue_export(
                dataset.pk,
                given["policy"],
                request.user.pk,
                given["configs"],
                given.get("rows_per_shard"),
            )
            return Response(status=202)
        newest = dataset.exports.first()
        made = export_dataset(
            dataset=dataset,
            policy=given["policy"],
            user=request.user,
            configs=given["configs"],
            rows_per_shard=given.get("rows_per_shard"),
        )
        is_new = newest is None or made.pk > newest.pk
        return Response(ExportDetailSerializer(made).data, status=201 if is_new else 200)


class ExportView(ApiView):
    roles = {"GET": LEADS}

    @operation(
        "get_export",
        "One export with its manifest",
        tag=TAG,
        answers={200: ExportDetailSerializer},
        errors=[404],
    )
    def get(self, request: Request, pk: int) -> Response:
        return Response(ExportDetailSerializer(get_object_or_404(all_exports(), pk=pk)).data)


class ExportFileView(ApiView):
    roles = {"GET": LEADS}

    @operation(
        "download_export_file",
        "One file of an export",
        description="Only what its manifest names, and `manifest.json`.",
        tag=TAG,
        answers={(200, "application/octet-stream"): OpenApiResponse(OpenApiTypes.BINARY)},
        errors=[404],
    )
    def get(self, request: Request, pk: int, name: str) -> HttpResponseBase:
        stored = StoredExport(get_object_or_404(all_exports(), pk=pk))
        path = named_file(stored, name)
        if path is None:
            raise Http404("This export has no such file.")
        export = stored.export
        return FileResponse(
            path.open("rb"),
            as_attachment=True,
            filename=f"{export.dataset.name}-v{export.version}-{path.name}",
            content_type="application/octet-stream",
        )
