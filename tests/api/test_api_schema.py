"""The schema: valid, whole, and on a page for people."""

from __future__ import annotations

import io
import re

import pytest
from django.core.management import call_command
from django.urls import reverse

from nexa_site.api.reference import _groups
from nexa_site.api.schema import whole_schema
from nexa_site.env import BASE_DIR
from tests.builders import make_user

METHODS = {"get", "post", "delete"}


def operations():
    for path, methods in whole_schema()["paths"].items():
        for method in methods.keys() & METHODS:
            yield f"{method} {path}", methods[method]


def test_it_is_valid_and_without_a_warning():
    call_command("spectacular", "--validate", "--fail-on-warn", stdout=io.StringIO())


def test_each_operation_says_what_it_does_who_may_and_how_it_fails():
    ids = [told["operationId"] for _, told in operations()]
    assert len(ids) == len(set(ids)) > 30
    for name, told in operations():
        assert told["summary"], name
        assert len(told["tags"]) == 1, name
        assert "For: " in told["description"], name
        assert {"401", "403", "429"} <= told["responses"].keys(), name
        assert ("404" in told["responses"]) == ("{" in name), name
        assert told["security"] == [{"token": []}, {"cookieAuth": []}], name
    json_bodies = [
        told["requestBody"]["content"]["application/json"]
        for _, told in operations()
        if "application/json" in told.get("requestBody", {}).get("content", {})
    ]
    assert len(json_bodies) >= 6


@pytest.mark.django_db
@pytest.mark.parametrize(("query", "beginning"), [("", b"openapi: 3"), ("?format=json", b"{")])
def test_it_is_served_as_yaml_and_json(client, query, beginning):
    client.force_login(make_user("reviewer"))
    served = client.get(reverse("api:schema") + query)
    assert served.content.startswith(beginning)


@pytest.mark.django_db
def test_people_read_every_operation_with_a_line_that_runs(client):
    client.force_login(make_user("lead"))
    page = client.get(reverse("api_reference")).text
    for name, told in operations():
        assert told["summary"].replace("'", "&#x27;") in page, name
    shown = [operation for group in _groups().values() for operation in group]
    lines = {(one.method, one.path): one.curl for one in shown}
    assert lines["POST", "/api/v1/datasets/"] == (
        'curl -H "Authorization: Bearer $TOKEN" -X POST -F file=@papers.jsonl -F name=my-papers '
        '"$SITE/api/v1/datasets/"'
    )
    assert '-d \'{"dataset":1,"policy":"reviewed"}\'' in lines["POST", "/api/v1/exports/"]


def test_the_document_names_every_endpoint():
    document = (BASE_DIR / "docs" / "api.md").read_text("utf-8")
    table = document.split("\n## Endpoints\n")[1].split("\n## ")[0]
    named, whole = set(), ""
    for cell in re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE):
        for address in re.findall(r"`([^`]+)`", cell):
            whole = address if not address.startswith("…/") else whole
            base = whole if whole.endswith("<id>/") else whole.rsplit("/", 2)[0] + "/"
            named.add(base + address[2:] if address.startswith("…/") else address)
    found = {
        re.sub(r"\{(\w+)\}", lambda m: "<name>" if m[1] == "name" else "<id>", path)
        for path in whole_schema()["paths"]
    }
    assert {f"/api/v1/{address}".replace("//", "/") for address in named} == found
