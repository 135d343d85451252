"""What every endpoint shares: the base view, pages of results, how the schema speaks of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, TypeVar

from django.db.models import Model, QuerySet
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from distill.http import RoleName, keyset_page

MAX_ID = 2**63 - 1
PAGE_SIZE = 50
MAX_PAGE_SIZE = 100

M = TypeVar("M", bound=Model)
Handler = TypeVar("Handler", bound=Callable[..., Any])

_ERRORS = {
    400: "What was sent cannot be used; the text says why.",
    401: "No token, or one that has ended or was revoked.",
    403: "The roles of the token's owner do not allow it.",
    404: "There is no such object.",
    409: "The state has moved on; nothing was changed.",
    413: "The body is too long.",
    415: "The body is of another type than this address takes.",
    429: "Too many requests; `Retry-After` says when to ask again.",
}


class ErrorSerializer(serializers.Serializer):
    """What is wrong and what to do; for a body also a list of texts under each wrong field."""

    detail = serializers.CharField(required=False)


class InputSerializer(serializers.Serializer):
    """Refuses what it does not know: a misspelt name would otherwise change nothing, silently."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        known = self.fields.keys()
        unknown = [name for name in data if name not in known] if isinstance(data, Mapping) else []
        if unknown:
            names = ", ".join(known) or "nothing"
            raise serializers.ValidationError(
                {
                    str(name)[:100]: [f"This is not known here; known are: {names}."]
                    for name in unknown[:10]
                }
            )
        values: dict[str, Any] = super().to_internal_value(data)
        return values


class PageQuery(InputSerializer):
    """Which part of a list."""

    after = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=MAX_ID,
        help_text="Where the page begins: see `next`.",
    )
    page_size = serializers.IntegerField(
        required=False, min_value=1, max_value=MAX_PAGE_SIZE, default=PAGE_SIZE
    )


class ApiView(APIView):
    """An endpoint. `roles` says for each method who may use it; nobody else gets in."""

    roles: ClassVar[Mapping[str, Sequence[RoleName]]] = {}

    def finalize_response(
        self, request: Request, response: HttpResponseBase, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        answered: HttpResponseBase = super().finalize_response(request, response, *args, **kwargs)
        answered.headers["Cache-Control"] = "no-store"
        return answered


class UnknownAddressView(ApiView):
    """Whatever else is asked below the API's root: 404 in its own shape."""

    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        raise NotFound("There is no such address. Addresses of the API end with a slash.")


# --- reading and answering ---


def read(kind: type[serializers.Serializer], data: Any) -> dict[str, Any]:
    """The values of a body or a query string, validated; 400 names each wrong field."""
    serializer = kind(data=data)
    serializer.is_valid(raise_exception=True)
    values: dict[str, Any] = serializer.validated_data
    return values


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list, and where the next one begins."""

    rows: Sequence[Any]
    next: int | None


def keyset(queryset: QuerySet[M], asked: Mapping[str, Any], *, ascending: bool = False) -> Page:
    """The page of a list that `PageQuery` asks for; the newest first unless `ascending`."""
    page = keyset_page(
        queryset, after=asked.get("after"), size=asked["page_size"], ascending=ascending
    )
    return Page(page.rows, page.next)


def answer_page(request: Request, page: Page, kind: type[serializers.BaseSerializer]) -> Response:
    """The page as JSON, with the whole address of the next one."""
    url = None
    if page.next is not None:
        query = request.query_params.copy()
        query["after"] = str(page.next)
        url = request.build_absolute_uri(f"{request.path}?{query.urlencode()}")
    return Response({"next": url, "results": kind(page.rows, many=True).data})


# --- the schema ---


@cache
def page_of(kind: type[serializers.BaseSerializer]) -> type[serializers.Serializer]:
    """The schema of a page of such results."""
    name = kind.__name__.removesuffix("Serializer")
    fields = {
        "next": serializers.URLField(allow_null=True, help_text="The next page; null on the last."),
        "results": kind(many=True),
    }
    return type(f"{name}PageSerializer", (serializers.Serializer,), fields)


def operation(
    name: str,
    summary: str,
    *,
    tag: str,
    answers: Mapping[Any, Any],
    errors: Sequence[int] = (),
    body: Any = None,
    query: type[serializers.Serializer] | None = None,
    examples: Mapping[str, Any] | None = None,
    description: str = "",
) -> Callable[[Handler], Handler]:
    """Describe a method for the schema: `name` is its operationId, `examples` are bodies to send.

    `answers` are serializers by status, or by status and media type where that is not JSON.
    401, 403 and 429 may come from everywhere and need not be named.
    """
    said = {code: _ERRORS[code] for code in sorted({401, 403, 429, *errors})}
    responses = dict(answers) | {
        code: OpenApiResponse(ErrorSerializer, text) for code, text in said.items()
    }
    shown = [
        OpenApiExample(title, value=value, request_only=True)
        for title, value in (examples or {}).items()
    ]
    decorate: Callable[[Handler], Handler] = extend_schema(
        operation_id=name,
        summary=summary,
        description=description,
        tags=[tag],
        request=body,
        responses=responses,
        parameters=[query] if query else [],
        examples=shown,
    )
    return decorate
