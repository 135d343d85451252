"""The API for people: every operation of the schema, on one page of the site."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from distill.http import AuthedRequest, require_role
from nexa_site.api.schema import whole_schema

_METHODS = ("get", "post", "delete")
_FORM_VALUES = {"file": "@papers.jsonl", "name": "my-papers"}


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one address, as people read it."""

    method: str
    path: str
    summary: str
    notes: list[str]
    parameters: list[tuple[str, str]]
    body: list[tuple[str, str]]
    curl: str


@require_role()
@require_safe
def api_reference(request: AuthedRequest) -> HttpResponse:
    """Every operation, by what it is about, with a line of curl to begin with."""
    root = request.build_absolute_uri("/").rstrip("/")
    return render(request, "nexa_site/api_reference.html", {"groups": _groups(), "root": root})


@cache
def _groups() -> dict[str, list[Operation]]:
    """The operations by tag."""
    schema = whole_schema()
    groups: dict[str, list[Operation]] = {}
    for path, methods in schema["paths"].items():
        for method in _METHODS:
            if method in methods:
                found = _operation(method, path, methods[method], schema)
                groups.setdefault(methods[method]["tags"][0], []).append(found)
    return groups


def _operation(
    method: str, path: str, told: Mapping[str, Any], schema: Mapping[str, Any]
) -> Operation:
    content = told.get("requestBody", {}).get("content", {})
    media_type = next(iter(content), "")
    body = _resolved(content.get(media_type, {}).get("schema", {}), schema)
    return Operation(
        method=method.upper(),
        path=path,
        summary=told["summary"],
        notes=_plain(told.get("description", "")).split("\n\n"),
        parameters=[
            (one["name"], _words(one["schema"], one.get("description", "")))
            for one in told.get("parameters", ())
            if one["in"] == "query"
        ],
        body=[
            (name, _words(_resolved(field, schema), field.get("description", "")))
            for name, field in body.get("properties", {}).items()
        ],
        curl=_curl(method, path, media_type, content.get(media_type, {}), body),
    )


def _resolved(part: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part itself, where it only names a component."""
    reference = part.get("$ref") or next((one["$ref"] for one in part.get("allOf", ())), "")
    found: Mapping[str, Any] = (
        schema["components"]["schemas"][reference.rpartition("/")[2]] if reference else part
    )
    return found


def _words(field: Mapping[str, Any], description: str) -> str:
    choices = field.get("enum") or field.get("items", {}).get("enum")
    kind = " · ".join(map(str, choices)) if choices else field.get("type", "")
    return f"{kind}. {_plain(description)}" if description else str(kind)


def _plain(text: str) -> str:
    """The schema's Markdown marks code by backticks; here nothing would show it."""
    return text.replace("`", "")


def _curl(
    method: str,
    path: str,
    media_type: str,
    content: Mapping[str, Any],
    body: Mapping[str, Any],
) -> str:
    """A line that a shell runs, but for the ids; `$SITE` and `$TOKEN` are the reader's."""
    parts = ["curl", '-H "Authorization: Bearer $TOKEN"']
    if method != "get":
        parts.append(f"-X {method.upper()}")
    if media_type == "multipart/form-data":
        names = [name for name in body["properties"] if name in body.get("required", ())]
        parts += [f"-F {name}={_FORM_VALUES[name]}" for name in names]
    elif media_type:
        examples = content.get("examples") or {"none": {"value": {}}}
        value = next(iter(examples.values()))["value"]
        parts += ["-H 'Content-Type: application/json'"]
        parts += [f"-d {shlex.quote(orjson.dumps(value).decode())}"]
    return " ".join([*parts, f'"$SITE{path}"'])
