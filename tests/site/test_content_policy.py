"""The content security policy: one for every response, and what browsers report of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from distill.logic.errors import InputError
from nexa_site.logic.policy_reports import (
    BATCH,
    DIRECTIVES,
    MAX_BYTES,
    MAX_IN_A_BATCH,
    ONE,
    OTHER,
    Violation,
    read_reports,
)
from nexa_site.models import PolicyViolation
from nexa_site.services import note_violations as service
from nexa_site.services.bootstrap import create_roles
from tests.builders import make_user

HEADER = "Content-Security-Policy"
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "font-src": "'self'",
    "connect-src": "'self'",
    "img-src": "'self' data:",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
    "report-uri": "/csp-report/",
}
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
# As Chromium 140 sent it, but for its address.
REPORT = {
    "document-uri": "http://testserver/runs/7/?state=failed",
    "referrer": "",
    "violated-directive": "script-src-elem",
    "effective-directive": "script-src-elem",
    "original-policy": "default-src 'none'; report-uri /csp-report/",
    "disposition": "enforce",
    "blocked-uri": "inline",
    "line-number": 12,
    "column-number": 17,
    "source-file": "http://testserver/static/js/site.js",
    "status-code": 200,
    "script-sample": "",
}
BATCHED = {
    "age": 53,
    "type": "csp-violation",
    "url": "http://testserver/runs/8/",
    "user_agent": "Mozilla/5.0",
    "body": {
        "blockedURL": "https://CDN.example.org:8443/x.js?key=secret",
        "disposition": "enforce",
        "documentURL": "http://testserver/runs/8/",
        "effectiveDirective": "script-src-elem",
        "lineNumber": 3,
        "sourceFile": "http://testserver/runs/8/",
    },
}


def one(**changed: object) -> bytes:
    return json.dumps({"csp-report": REPORT | changed}).encode()


def send(body: bytes, content_type: str = ONE) -> Any:
    """As a browser does: without a login and without the token of a form."""
    client = Client(enforce_csrf_checks=True)
    return client.post("/csp-report/", body, content_type=content_type)


# --- the policy ---


def directives(policy: str) -> dict[str, str]:
    parts = [part.strip().partition(" ") for part in policy.split(";")]
    return {name: value for name, _, value in parts}


@pytest.fixture
def admin_client(db: None) -> Client:
    create_roles()
    client = Client(raise_request_exception=False)
    client.force_login(make_user("admin", is_superuser=True))
    return client


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(
    "address",
    ["/", "/login/", "/healthz", "/admin/", "/api/", "/api/v1/", "/no/such/page/", "/static/no.js"],
)
def test_every_response_has_the_one_policy(
    admin_client: Client, settings: Any, address: str, debug: bool
) -> None:
    settings.DEBUG = debug
    assert directives(admin_client.get(address).headers[HEADER]) == POLICY


def test_a_failure_and_a_file_have_it_too(
    admin_client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("nexa_site.views.open_missing_queues", fail)
    for debug in (False, True):
        settings.DEBUG = debug
        response = admin_client.get("/")
        assert response.status_code == 500
        assert directives(response.headers[HEADER]) == POLICY


def test_it_is_enforced_without_exception_and_reported_here() -> None:
    assert reverse("csp_report") == POLICY["report-uri"]
    assert not hasattr(settings, "CONTENT_SECURITY_POLICY_REPORT_ONLY")
    assert "unsafe" not in str(settings.CONTENT_SECURITY_POLICY)
    loosened = [
        path.name
        for app in ("nexa_site", "distill", "review", "training")
        for path in (Path(settings.BASE_DIR) / app).rglob("*.py")
        if "csp.decorators" in path.read_text("utf-8") or "_csp_" in path.read_text("utf-8")
    ]
    assert loosened == []


# --- the reports ---


@pytest.mark.django_db
def test_a_report_is_counted() -> None:
    response = send(one())
    assert (response.status_code, response.content) == (204, b"")
    row = PolicyViolation.objects.get()
    assert (row.directive, row.blocked, row.page) == (
        "script-src-elem",
        "inline",
        "/runs/<int:run_id>/",
    )
    assert (row.times, row.last_path, row.last_source) == (1, "/runs/7/", "/static/js/site.js:12")


@pytest.mark.django_db
def test_a_batch_is_counted_and_what_else_is_in_it_ignored() -> None:
    other = {"type": "deprecation", "url": "http://testserver/", "body": {"id": "unload"}}
    body = json.dumps([other, BATCHED, BATCHED]).encode()
    assert send(body, BATCH).status_code == 204
    row = PolicyViolation.objects.get()
    assert (row.blocked, row.last_path, row.times) == ("cdn.example.org", "/runs/8/", 2)


@pytest.mark.django_db
def test_the_same_twice_is_one_row() -> None:
    send(one())
    send(one(**{"document-uri": "http://testserver/runs/9/"}))
    row = PolicyViolation.objects.get()
    assert (row.times, row.last_path) == (2, "/runs/9/")
    assert row.first_at < row.last_at


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"{", ONE),
        (b"\xff\xfe", ONE),
        (b"[" * 10_000, ONE),
        (b"null", ONE),
        (b'{"csp-report": []}', ONE),
        (b'{"csp-report": null}', BATCH),
        (b"[1]", BATCH),
        (b'[{"type": "csp-violation"}]', BATCH),
    ],
)
def test_what_is_no_report_is_refused(body: bytes, content_type: str) -> None:
    response = send(body, content_type)
    assert response.status_code == 400
    assert response.headers["Content-Type"] == "text/plain"
    assert not PolicyViolation.objects.exists()


@pytest.mark.django_db
def test_size_kind_and_method_are_looked_at() -> None:
    fill = MAX_BYTES - len(one(**{"script-sample": ""}))
    assert send(one(**{"script-sample": "x" * fill})).status_code == 204
    assert send(one(**{"script-sample": "x" * (fill + 1)})).status_code == 413
    assert send(one(), "application/json").status_code == 415
    assert Client().get("/csp-report/").status_code == 405
    assert PolicyViolation.objects.get().times == 1


@pytest.mark.django_db
def test_a_hostile_client_cannot_fill_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MAX_ROWS", 5)
    for number in range(12):
        violation = Violation("img-src", f"host-{number}.example", f"/x/{number}/", "")
        service.note_violations([violation], now=NOW)
    assert PolicyViolation.objects.count() == 6
    rest = PolicyViolation.objects.get(directive=OTHER)
    assert (rest.times, rest.blocked, rest.page) == (7, OTHER, "")
    # What has its row is still counted there.
    service.note_violations([Violation("img-src", "host-0.example", "/x/0/", "")], now=NOW)
    assert PolicyViolation.objects.get(blocked="host-0.example").times == 2


@pytest.mark.django_db
def test_hostile_text_is_stored_short_and_shown_as_text(admin_client: Client) -> None:
    attack = "<xss-probe onload=alert(1)>\0\ud800" + "W" * 3_000
    body = one(
        **{
            "blocked-uri": attack,
            "effective-directive": attack,
            "document-uri": f"http://testserver/{attack}",
            "source-file": f"http://testserver/{attack}",
        }
    )
    # A half of a surrogate pair is no JSON for orjson; without it the rest goes in.
    assert send(body).status_code == 400
    assert send(body.replace(rb"\ud800", b"")).status_code == 204
    row = PolicyViolation.objects.get()
    assert (row.directive, row.blocked, row.page) == (OTHER, OTHER, "")
    page = admin_client.get("/admin/nexa_site/policyviolation/").text
    assert "&lt;xss-probe" in page
    assert "<xss-probe" not in page


@pytest.mark.django_db
@pytest.mark.parametrize(("role", "status"), [("operator", 200), ("lead", 403), ("reviewer", 302)])
def test_operators_look_at_the_list_and_delete_what_is_mended(role: Any, status: int) -> None:
    create_roles()
    client = Client()
    client.force_login(make_user(role))
    send(one())
    listed = client.get("/admin/nexa_site/policyviolation/")
    assert listed.status_code == status
    row = PolicyViolation.objects.get()
    removal = {"action": "delete_selected", "_selected_action": row.pk, "post": "yes"}
    client.post("/admin/nexa_site/policyviolation/", removal)
    assert PolicyViolation.objects.exists() == (role != "operator")
    assert client.post(f"/admin/nexa_site/policyviolation/{row.pk}/change/").status_code != 200


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("inline", "inline"),
        ("https://Evil.example:99/a?b", "evil.example"),
        ("chrome-extension://abcdef/inject.js", "chrome-extension:"),
        ("data:text/html,x", "data:"),
        ("http://[", OTHER),
        ("http://", OTHER),
        ("anything else", OTHER),
        ("", OTHER),
    ],
)
def test_of_a_blocked_address_the_host_is_kept(address: str, kept: str) -> None:
    [found] = read_reports(one(**{"blocked-uri": address}), content_type=ONE)
    assert found.blocked == kept


def test_an_old_browser_says_the_whole_directive() -> None:
    body = one(**{"effective-directive": "", "violated-directive": "style-src 'self'"})
    [found] = read_reports(body, content_type=ONE)
    assert found.directive == "style-src"


def test_of_a_long_batch_the_first_count() -> None:
    body = json.dumps([BATCHED] * 100).encode()
    assert len(read_reports(body, content_type=BATCH)) == MAX_IN_A_BATCH


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
_BODY = st.dictionaries(st.sampled_from([*REPORT, *BATCHED["body"]]), _JSON)  # type: ignore[misc]


def _documents() -> Iterator[Any]:
    yield st.tuples(st.just(ONE), st.fixed_dictionaries({"csp-report": _BODY}))
    report = st.fixed_dictionaries({"type": st.just("csp-violation"), "body": _BODY})
    yield st.tuples(st.just(BATCH), st.lists(report))
    yield st.tuples(st.sampled_from([ONE, BATCH]), _JSON)


@given(st.one_of(*_documents()))
def test_whatever_is_sent_is_refused_or_small(sent: tuple[str, object]) -> None:
    content_type, document = sent
    try:
        found = read_reports(json.dumps(document).encode(), content_type=content_type)
    except InputError:
        return
    for violation in found:
        assert violation.directive in DIRECTIVES | {OTHER}
        assert len(violation.blocked) <= 100
        assert len(violation.path) <= 200
        assert len(violation.source) <= 200
        assert "\0" not in "".join((violation.blocked, violation.path, violation.source))
