"""Datasets and their files: upload, look, delete."""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping
from pathlib import Path
from typing import Any

import orjson
from django.db import transaction
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiResponse, extend_schema_field
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from distill import tasks
from distill.api.endpoints import (
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
from distill.http import AuthedRequest
from distill.logic.columns import Mapping
from distill.logic.errors import InputError
from distill.models import Dataset, Sample, SourceFile
from distill.queries import datasets as queries
from distill.services.delete_dataset import delete_dataset, is_large
from distill.services.ingest import (
    create_dataset,
    discard_upload,
    open_source_file,
    preview_file,
    save_upload,
    upload_path,
)

TAG = "datasets"


# --- shapes ---


class DatasetSerializer(serializers.ModelSerializer):
    class Meta:
        model = Dataset
        fields = ("id", "name", "description", "created_at")


class DatasetSummarySerializer(serializers.Serializer):
    """A dataset and how much there is of it; counts stop at 100,001."""

    id = serializers.IntegerField(source="dataset.pk")
    name = serializers.CharField(source="dataset.name")
    description = serializers.CharField(source="dataset.description")
    created_at = serializers.DateTimeField(source="dataset.created_at")
    num_samples = serializers.IntegerField()
    num_completions = serializers.IntegerField()
    num_runs = serializers.IntegerField()
    active_at = serializers.DateTimeField(help_text="When a file or run last began or ended.")
    is_importing = serializers.BooleanField()


class SourceFileSerializer(serializers.ModelSerializer):
    mapping = serializers.DictField(
        child=serializers.CharField(), help_text="Which column became which field."
    )

    class Meta:
        model = SourceFile
        fields = (
            *("id", "dataset", "name", "sha256", "size_bytes", "mapping", "state", "message"),
            *("rows_read", "rows_kept", "rows_refused", "rows_duplicate"),
            *("created_at", "finished_at"),
        )


class DatasetDetailSerializer(DatasetSummarySerializer):
    """With its newest files and where its completions stand."""

    rows = serializers.DictField(
        child=serializers.IntegerField(), help_text="Of all files: kept, duplicate, refused."
    )
    completions = serializers.DictField(
        child=serializers.IntegerField(), help_text="Completions by state."
    )
    source_files = SourceFileSerializer(many=True)


class SampleSerializer(serializers.ModelSerializer):
    metadata = serializers.DictField()

    class Meta:
        model = Sample
        fields = (
            *("id", "key", "source_key", "split", "domain", "template_name", "title"),
            *("instruction", "text", "metadata", "line"),
        )


class UploadedSerializer(serializers.Serializer):
    """What an upload has begun: ask for the file until its state is `done` or `failed`."""

    dataset = DatasetSerializer()
    source_file = SourceFileSerializer()


@extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
class MappingField(serializers.CharField):
    """A JSON object of texts, as one field of a form."""

    def to_internal_value(self, data: Any) -> dict[str, str]:
        try:
            paths = orjson.loads(super().to_internal_value(data))
        except orjson.JSONDecodeError as error:
            raise serializers.ValidationError(f"This is no JSON: {error}") from error
        are_texts = isinstance(paths, dict) and all(
            isinstance(path, str) for path in paths.values()
        )
        if not are_texts or "\0" in str(paths.values()):
            raise serializers.ValidationError("A JSON object of texts is wanted.")
        try:
            return dict(Mapping(paths).paths)
        except InputError as error:
            raise serializers.ValidationError(str(error)) from error


class FileInput(InputSerializer):
    file = serializers.FileField(
        max_length=1000,
        allow_empty_file=True,
        help_text="Parquet, JSONL, JSON, CSV, TSV or one text; its name's ending says which.",
    )
    mapping = MappingField(
        required=False,
        max_length=20_000,
        help_text='Field to column, as JSON: `{"text": "abstract", "source_key": "doi"}`. What is '
        "left out is guessed from the columns' names; an empty text takes a field out.",
    )


class DatasetInput(FileInput):
    name = serializers.CharField(max_length=100)
    description = serializers.CharField(
        required=False, allow_blank=True, max_length=2000, default=""
    )


# --- endpoints ---


class DatasetsView(ApiView):
    roles = {"GET": LEADS, "POST": OPERATORS}
    parser_classes = [MultiPartParser]

    @operation(
        "list_datasets",
        "All datasets, the newest first",
        tag=TAG,
        answers={200: page_of(DatasetSummarySerializer)},
        errors=[400],
        query=PageQuery,
    )
    def get(self, request: Request) -> Response:
        page = keyset(queries.all_datasets(), read(PageQuery, request.query_params))
        summaries = queries.summarise_datasets(page.rows)
        return answer_page(request, Page(summaries, page.next), DatasetSummarySerializer)

    @operation(
        "create_dataset",
        "Make a dataset of a file",
        description="A worker imports the file; a file that cannot be read is refused at once.",
        tag=TAG,
        body={"multipart/form-data": DatasetInput},
        answers={202: UploadedSerializer},
        errors=[400, 409, 415],
    )
    def post(self, request: Request) -> Response:
        given = read(DatasetInput, request.data)
        source_file = _import(request, given, dataset=None)
        return _answer_upload(source_file)


class DatasetView(ApiView):
    roles = {"GET": LEADS, "DELETE": OPERATORS}

    @operation(
        "get_dataset",
        "One dataset with its counts and files",
        tag=TAG,
        answers={200: DatasetDetailSerializer},
        errors=[404],
    )
    def get(self, request: Request, pk: int) -> Response:
        found = get_object_or_404(queries.all_datasets(), pk=pk)
        return Response(DatasetDetailSerializer(_detail(found)).data)

    @operation(
        "delete_dataset",
        "Delete a dataset with everything in it",
        description="Samples, completions, decisions, runs and exports go; files of exports stay on "
        "disk. A large dataset is deleted by a worker: 202.",
        tag=TAG,
        answers={
            204: OpenApiResponse(description="It is gone."),
            202: OpenApiResponse(description="A worker deletes it."),
        },
        errors=[404, 409],
    )
    def delete(self, request: Request, pk: int) -> Response:
        found = get_object_or_404(Dataset, pk=pk)
        if is_large(found.pk):
            tasks.enqueue_delete_dataset(found.pk)
            return Response(status=202)
        delete_dataset(dataset_id=found.pk)
        return Response(status=204)


class SourceFilesView(ApiView):
    roles = {"POST": OPERATORS}
    parser_classes = [MultiPartParser]

    @operation(
        "add_source_file",
        "Import a further file into a dataset",
        description="The same file with the same mapping adds nothing: 200 with its record.",
        tag=TAG,
        body={"multipart/form-data": FileInput},
        answers={202: UploadedSerializer, 200: UploadedSerializer},
        errors=[400, 404, 415],
    )
    def post(self, request: Request, pk: int) -> Response:
        dataset = get_object_or_404(Dataset, pk=pk)
        source_file = _import(request, read(FileInput, request.data), dataset=dataset)
        return _answer_upload(source_file)


class SourceFileView(ApiView):
    roles = {"GET": LEADS}

    @operation(
        "get_source_file",
        "How the import of a file goes",
        description="`importing`, then `done` or `failed` (`message` says why).",
        tag=TAG,
        answers={200: SourceFileSerializer},
        errors=[404],
    )
    def get(self, request: Request, pk: int, file_id: int) -> Response:
        found = get_object_or_404(SourceFile, pk=file_id, dataset=pk)
        return Response(SourceFileSerializer(found).data)


class SamplesView(ApiView):
    roles = {"GET": LEADS}

    @operation(
        "list_samples",
        "The samples of a dataset, in the order of import",
        tag=TAG,
        answers={200: page_of(SampleSerializer)},
        errors=[400, 404],
        query=PageQuery,
    )
    def get(self, request: Request, pk: int) -> Response:
        found = get_object_or_404(Dataset, pk=pk)
        asked = read(PageQuery, request.query_params)
        page = keyset(Sample.objects.filter(dataset=found), asked, ascending=True)
        return answer_page(request, page, SampleSerializer)


# --- an upload ---


def _import(
    request: AuthedRequest, given: AbstractMapping[str, Any], *, dataset: Dataset | None
) -> SourceFile:
    """Keep the file, look at it, make its record, let a worker import it.

    Without a dataset one is made by the name given; a file that cannot be read leaves none behind.
    """
    file = given["file"]
    name = Path(file.name).name
    upload = save_upload(chunks=file.chunks(), name=name)
    try:
        source_file = _open(request, given, upload_path(upload), name, dataset)
    except BaseException:
        discard_upload(upload=upload)
        raise
    if source_file.state == SourceFile.State.DONE:
        discard_upload(upload=upload)
    else:
        tasks.enqueue_import(source_file.pk, upload)
    return source_file


def _open(
    request: AuthedRequest,
    given: AbstractMapping[str, Any],
    path: Path,
    name: str,
    dataset: Dataset | None,
) -> SourceFile:
    preview = preview_file(path, name)
    if "mapping" in given:
        preview = preview_file(path, name, preview.mapping.with_paths(given["mapping"]))
    if not preview.can_import:
        raise InputError(preview.problems[0].message)
    with transaction.atomic():
        return open_source_file(
            dataset=dataset or _make(request, given),
            path=path,
            name=name,
            mapping=preview.mapping,
        )


def _make(request: AuthedRequest, given: AbstractMapping[str, Any]) -> Dataset:
    return create_dataset(name=given["name"], description=given["description"], user=request.user)


def _answer_upload(source_file: SourceFile) -> Response:
    uploaded = {"dataset": source_file.dataset, "source_file": source_file}
    status = 200 if source_file.state == SourceFile.State.DONE else 202
    return Response(UploadedSerializer(uploaded).data, status=status)


def _detail(found: Dataset) -> dict[str, Any]:
    summary = queries.summarise_dataset(found)
    return {
        "dataset": found,
        "num_samples": summary.num_samples,
        "num_completions": summary.num_completions,
        "num_runs": summary.num_runs,
        "active_at": summary.active_at,
        "is_importing": summary.is_importing,
        "rows": queries.count_rows(found),
        "completions": {state: count for state, _, count in queries.count_completions(found)},
        "source_files": queries.list_source_files(found),
    }
