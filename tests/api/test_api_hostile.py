"""Whatever is sent: an answer in the API's own shape, never a failure of the server."""

from __future__ import annotations

import json

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distill.api.parsers import MAX_BODY_BYTES
from tests.api.clients import client_of
from tests.builders import make_completion, make_dataset, make_recipe, make_user

BODIES: dict[str, dict[str, object]] = {
    "/api/v1/runs/": {"dataset": 1, "recipe": "mine", "kind": "generate", "sample_limit": 3},
    "/api/v1/recipes/": {"yaml": "name: mine"},
    "/api/v1/exports/": {"dataset": 1, "policy": "gate"},
    "/api/v1/decisions/": {"completion": 1, "kind": "reject", "reasons": ["vague_method"]},
    "/api/v1/training-runs/": {"export": 1, "spec": {"student": "tiny"}, "tags": ["a"]},
}
EXPECTED = {200, 201, 400, 404, 409}

TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["\0", "\ud800", "𝄞", "null", "NaN", "-1", "1e400", "../..", "=cmd", "%00"]),
)
NUMBERS = st.one_of(st.integers(), st.just(2**63), st.just(-(2**70)), st.floats())
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture
def admin(db, enqueued):
    make_recipe(name="mine")
    make_completion(dataset=make_dataset("soil"))
    return client_of(make_user("admin"))


@pytest.mark.parametrize("url", BODIES)
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_no_body_breaks_it(admin, url, data):
    body = dict(BODIES[url])
    name = data.draw(st.sampled_from([*body, "client_id", "note", "budget_usd", "unknown"]))
    body[name] = data.draw(VALUES)
    sent = json.dumps(body)
    answer = admin.post(url, sent, content_type="application/json")
    assert answer.status_code in EXPECTED, (sent, answer.content)
    if answer.status_code >= 400:
        assert isinstance(answer.json(), dict)


BROKEN = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"3",
    b'"text"',
    b'{"dataset": NaN}',
    b'{"a": "\\ud800"}',
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"spec": ' + b'{"a": ' * 500 + b"1" + b"}" * 501,
    b'{"dataset": ' + b"9" * 5_000 + b"}",
    json.dumps({"yaml": "{a: " * 900, "recipe_yaml": "{a: " * 900}).encode(),
    json.dumps({"yaml": "a: &a [*a]", "spec_yaml": "&a [*a]"}).encode(),
]


@pytest.mark.parametrize("url", BODIES)
def test_no_bytes_break_it(admin, url):
    for body in BROKEN:
        answer = admin.generic("POST", url, body, content_type="application/json")
        assert answer.status_code == 400, (body[:50], answer.content)
        assert isinstance(answer.json(), dict)


@pytest.mark.parametrize(
    "document",
    ["{a: " * 900, "a: &a [*a]", "!!python/object:os.system {}", "a: 1e999"],
)
def test_no_yaml_breaks_it(admin, document):
    for url, name in (
        ("/api/v1/recipes/", "yaml"),
        ("/api/v1/runs/", "recipe_yaml"),
        ("/api/v1/training-runs/", "spec_yaml"),
    ):
        body = {"dataset": 1, "export": 1} if name != "yaml" else {}
        body = {key: value for key, value in body.items() if key in BODIES[url]}
        answer = admin.post(url, body | {name: document}, format="json")
        assert answer.status_code == 400, (url, answer.content)


def test_a_body_is_bounded_and_of_one_type(admin):
    long = admin.generic(
        "POST", "/api/v1/recipes/", b" " * (MAX_BODY_BYTES + 1), "application/json"
    )
    assert (long.status_code, "2,000,000" in long.json()["detail"]) == (413, True)
    form = admin.post("/api/v1/recipes/", {"yaml": "x"})
    assert (form.status_code, "detail" in form.json()) == (415, True)
    no_form = admin.post("/api/v1/datasets/", {"name": "x"}, format="json")
    assert no_form.status_code == 415


@pytest.mark.parametrize("pk", [0, 10**18, 10**30, 10**300])
def test_no_id_breaks_it(admin, pk):
    for path in (
        *("datasets/{}/", "datasets/{}/samples/", "datasets/1/files/{}/", "recipes/{}/yaml/"),
        *("runs/{}/", "completions/{}/", "decisions/{}/", "exports/{}/", "exports/{}/files/x"),
        *("training-runs/{}/", "training-runs/{}/metrics/", "evaluations/{}/"),
    ):
        answer = admin.get(f"/api/v1/{path.format(pk)}")
        assert (answer.status_code, "detail" in answer.json()) == (404, True), path
    for path in ("runs/{}/stop/", "runs/{}/resume/", "decisions/{}/undo/", "evaluations/{}/stop/"):
        assert admin.post(f"/api/v1/{path.format(pk)}").status_code == 404, path
    assert admin.delete(f"/api/v1/datasets/{pk}/").status_code == 404


@pytest.mark.parametrize("value", ["", "x", "-1", "9" * 30, "1.5", "é", "%ED%A0%80", "a&dataset=b"])
def test_no_query_breaks_it(admin, value):
    for path in ("datasets", "recipes", "runs", "completions", "decisions", "exports"):
        for name in ("after", "page_size", "dataset", "domain", "name", "unknown", "text"):
            answer = admin.get(f"/api/v1/{path}/?{name}={value}")
            assert answer.status_code in (200, 400), (path, name)
            assert isinstance(answer.json(), dict)


def test_no_form_breaks_it(admin):
    file = SimpleUploadedFile("papers.jsonl", b'{"text": "' + b"Soils dry. " * 20 + b'"}')
    for more in (
        {"mapping": "[" * 9_000},
        {"mapping": '{"text": "\\u0000"}'},
        {"mapping": '{"text": {"a": 1}}'},
        {"mapping": ["{}", "{}"]},
        {"name": "x" * 101},
        {"name": "a\0b"},
        {"file": "no file"},
    ):
        file.seek(0)
        answer = admin.post("/api/v1/datasets/", {"file": file, "name": "a", **more})
        assert answer.status_code in (202, 400), (more, answer.content)
    broken = admin.generic(
        "POST",
        "/api/v1/datasets/",
        b"--x\r\nbroken",
        content_type="multipart/form-data; boundary=x",
    )
    assert broken.status_code == 400
    none = admin.generic("POST", "/api/v1/datasets/", b"x", content_type="multipart/form-data")
    assert (none.status_code, isinstance(none.json(), dict)) == (400, True)
