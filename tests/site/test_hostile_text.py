"""Invariant 8: whatever stands in the database, pages show it as text."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from playwright.sync_api import BrowserContext, Dialog

from distill.models import Run
from nexa_site.services.bootstrap import create_roles
from tests.builders import make_user
from tests.site.hostile import ALL, SHORT, Hostile
from tests.site.test_url_matrix import PAGES

STRICT = re.compile(r"default-src 'none'")
# What may carry an address, and the attributes that hold it.
ADDRESSES = {"href", "src", "action", "formaction", "hx-get", "hx-post", "xlink:href"}


class Page(HTMLParser):
    """What a browser would do: every element, attribute and inline script of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.harm: list[str] = []
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        is_data = ("type", "application/json") in attrs
        self._inside = "" if is_data else tag
        if tag in ("xss-probe", "base", "iframe", "object", "embed"):
            self.harm.append(f"<{tag}>")
        if tag == "meta" and any(name == "http-equiv" for name, _ in attrs):
            self.harm.append("<meta http-equiv>")
        for name, value in attrs:
            # A browser skips what stands inside an address's scheme.
            text = re.sub(r"[\s\x00-\x1f]", "", value or "").lower()
            if name == "xss-probe":
                self.harm.append(f"<{tag} {name}>")
            if name.startswith(("on", "hx-on")) or name == "style":
                self.harm.append(f"<{tag} {name}={text[:60]!r}>")
            if name in ADDRESSES and text.startswith(("javascript:", "data:", "vbscript:", "//")):
                self.harm.append(f"<{tag} {name}={text[:60]!r}>")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside in ("script", "style") and data.strip():
            self.harm.append(f"inline {self._inside}: {data.strip()[:60]!r}")


@pytest.fixture
def hostile(db: None) -> Hostile:
    create_roles()
    return Hostile()


def enter(hostile: Hostile) -> Client:
    client = Client()
    user = make_user("admin", is_superuser=True, name="<xss-probe>\"'")
    client.force_login(user)
    hostile.claim(user)
    return client


def each_address(hostile: Hostile) -> list[str]:
    """Every page of the site over the hostile objects, with what filters and forms add."""
    things: Any = SimpleNamespace(
        run=hostile.run,
        queue=hostile.queue,
        export=hostile.export,
        completion=hostile.completion,
        training_run=hostile.training_run,
    )
    skipped = {"logout", "admin:logout", "distill:download_export_file", "distill:map_upload"}
    skipped |= {"training:download_log"}  # a file, read below
    names = [name for name, page in PAGES.items() if page.get == 200 and name not in skipped]
    plain = [reverse(name, args=PAGES[name].named(things)) for name in names]
    run, query = hostile.run.pk, "%3Cxss-probe%20onload%3Dalert(1)%3E%22'"
    return [
        *plain,
        reverse("distill:completion", args=[hostile.accepted.pk]),
        f"/completions/?run={run}&state=failed",
        f"/completions/?domain={query}&teacher={query}&dataset={query}&text={query}&state={query}",
        f"/datasets/{hostile.dataset.pk}/?text={query}",
        f"/datasets/upload/?dataset={query}",
        f"/runs/start/?teacher={query}&dataset={query}&recipe={hostile.recipe.pk}",
        f"/runs/start/?dataset={hostile.dataset.pk}&recipe={hostile.recipe.pk}&kind=pipeline",
        f"/recipes/new/?name=hostile&version={hostile.recipe.version}",
        f"/exports/?dataset={query}",
        f"/training/?tag={query}&state={query}",
        f"/training/start/?export={query}&config={query}&like={query}",
        f"/training/start/?export={hostile.export.pk}&like={hostile.training_run.pk}",
        f"/login/?next={query}",
        f"/{query}/not/there/",
    ]


def test_no_page_lets_text_become_markup(hostile: Hostile) -> None:
    client = enter(hostile)
    shown = 0
    for address in each_address(hostile):
        response = client.get(address)
        assert response.status_code in (200, 404, 400, 302), address
        assert STRICT.search(response.headers["Content-Security-Policy"]), address
        assert "unsafe" not in response.headers["Content-Security-Policy"], address
        assert response.headers["X-Content-Type-Options"] == "nosniff", address
        if response.streaming or "attachment" in response.headers.get("Content-Disposition", ""):
            continue
        html = response.text
        if "html" in response.headers["Content-Type"]:
            assert Page(html).harm == [], address
        assert settings.SECRET_KEY not in html, address
        shown += "&lt;xss-probe" in html
    assert shown >= 12, "the hostile texts are on the pages, as texts"


def test_no_page_of_the_admin_does_either(hostile: Hostile) -> None:
    client = enter(hostile)
    for model in admin.site._registry:
        options = model._meta
        base = f"admin:{options.app_label}_{options.model_name}"
        first = model._default_manager.first()
        addresses = [reverse(f"{base}_changelist")]
        if first is not None:
            addresses.append(reverse(f"{base}_change", args=[first.pk]))
        for address in addresses:
            response = client.get(address)
            assert response.status_code == 200, address
            # Django's own pages bring scripts of theirs, from files.
            assert Page(response.text).harm == [], address
            assert STRICT.search(response.headers["Content-Security-Policy"]), address


def test_fragments_and_refused_forms_say_it_as_text_too(hostile: Hostile) -> None:
    client = enter(hostile)
    run = f"/runs/{hostile.run.pk}/"
    for address, target in (
        (run, "run-live"),
        (run, "run-waterfall"),
        (run, "run-log"),
        ("/completions/", "found"),
        (f"/review/{hostile.queue.pk}/", "card"),
        ("/", "home-runs"),
        ("/training/", "training-list"),
        (f"/training/{hostile.training_run.pk}/", "training-live"),
        (f"/training/{hostile.training_run.pk}/", "training-plots"),
        (f"/training/{hostile.training_run.pk}/", "training-log"),
    ):
        headers = {"HX-Request": "true", "HX-Target": target}
        response = client.get(address, headers=headers)
        assert Page(response.text).harm == [], (address, target)
    forms: list[tuple[str, dict[str, Any]]] = [
        ("/recipes/new/", {"document": f"name: {ALL!r}\n{ALL}"}),
        ("/recipes/new/", {"document": "name: '<xss-probe onload=alert(1)>'"}),
        ("/recipes/new/", {"document": "<xss-probe onload=alert(1)>: 1"}),
        ("/runs/start/", {"teacher": ALL[:190], "dataset": ALL, "kind": ALL, "recipe": ALL}),
        ("/exports/", {"dataset": ALL, "policy": ALL}),
        ("/datasets/upload/", {"name": ALL, "description": ALL}),
        ("/training/start/", {"export": ALL, "config": ALL, "document": ALL, "tags": ALL[:500]}),
        ("/training/start/", {"document": "<xss-probe onload=alert(1)>: 1", "action": "preview"}),
        ("/training/start/", {"config": SHORT, "action": "load"}),
        (f"/datasets/{hostile.dataset.pk}/delete/", {"name": ALL}),
        (f"/review/{hostile.queue.pk}/decide/", {"slot": ALL, "kind": ALL, "reason": ALL}),
        ("/login/", {"username": ALL, "password": ALL, "next": ALL}),
    ]
    for address, form in forms:
        response = client.post(address, form, follow=True)
        assert response.status_code < 500, address
        assert Page(response.text).harm == [], address


def test_downloads_are_attachments_with_names_of_ours(hostile: Hostile) -> None:
    client = enter(hostile)
    source_file = hostile.source_file.pk
    empty = {
        reverse("distill:download_export_file", args=[hostile.export.pk, file["name"]])
        for file in hostile.export.manifest["files"]
        if not file["rows"]
    }
    for address in (
        "/completions/download/?format=jsonl",
        "/completions/download/?format=csv",
        f"/datasets/{hostile.dataset.pk}/files/{source_file}/refused.csv",
        "/recipes/hostile/1/download/",
        *(
            f"/training/{hostile.training_run.pk}/{name}"
            for name in ("log.txt", "metrics.jsonl", "spec.yaml")
        ),
        *(
            reverse("distill:download_export_file", args=[hostile.export.pk, file["name"]])
            for file in hostile.export.manifest["files"]
        ),
    ):
        response: Any = client.get(address)
        assert response.status_code == 200, address
        content = b"".join(response.streaming_content) if response.streaming else response.content
        assert content or address in empty, address
        disposition = response.headers["Content-Disposition"]
        assert disposition.startswith("attachment"), address
        name = re.search(r"filename\*?=(.*)", disposition)
        assert name is not None
        assert not re.search(r"[/\r\n]", name[1]), disposition
        assert "html" not in response.headers["Content-Type"], address


@pytest.mark.parametrize("which", ["completions", "refused"])
def test_no_cell_of_a_csv_is_a_formula(hostile: Hostile, which: str) -> None:
    refused = f"/datasets/{hostile.dataset.pk}/files/{hostile.source_file.pk}/refused.csv"
    address = "/completions/download/?format=csv" if which == "completions" else refused
    response: Any = enter(hostile).get(address)
    text = b"".join(response.streaming_content).decode()
    rows = list(csv.reader(io.StringIO(text)))
    assert len(rows) > 1
    for row in rows[1:]:
        for cell in row:
            is_number = re.fullmatch(r"-?[\d.]+", cell)
            assert is_number or not cell.lstrip().startswith(("=", "+", "-", "@")), cell[:60]


@pytest.mark.parametrize("name", ["../../../secret_key", "..%2f..%2fsecret_key", "/etc/passwd"])
def test_a_download_never_leaves_its_export(hostile: Hostile, name: str) -> None:
    address = f"/exports/{hostile.export.pk}/files/{name}"
    assert enter(hostile).get(address).status_code == 404


# --- in a real browser ---


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_a_browser_sees_text_alone(live_server, new_context) -> None:
    create_roles()
    hostile = Hostile()
    client = enter(hostile)
    context: BrowserContext = new_context(color_scheme="light")
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies(
        [{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}]
    )
    page = context.new_page()
    problems: list[str] = []
    page.on("dialog", lambda dialog: _dismiss(problems, dialog))
    page.on("pageerror", lambda error: problems.append(f"error {error}"))
    page.on("console", lambda line: _complain(problems, line.type, line.text))
    Run.objects.filter(pk=hostile.run.pk).update(state=Run.State.RUNNING)
    for address in _main_pages(hostile):
        page.goto(live_server.url + address)
        assert page.locator("xss-probe").count() == 0, address
        found = Axe().run(page)
        assert found.violations_count == 0, f"{address}: {found.generate_report()}"
    page.emulate_media(color_scheme="dark")
    for address in _main_pages(hostile)[::3]:
        page.goto(live_server.url + address)
        found = Axe().run(page)
        assert found.violations_count == 0, f"{address}, dark: {found.generate_report()}"
    assert problems == []


def _dismiss(problems: list[str], dialog: Dialog) -> None:
    problems.append(f"dialog {dialog.message}")
    dialog.dismiss()


def _complain(problems: list[str], kind: str, text: str) -> None:
    if kind in ("error", "warning"):
        problems.append(f"{kind} {text}")


def _main_pages(hostile: Hostile) -> list[str]:
    return [
        "/",
        "/datasets/",
        f"/datasets/{hostile.dataset.pk}/",
        "/runs/",
        f"/runs/{hostile.run.pk}/",
        f"/runs/start/?dataset={hostile.dataset.pk}&recipe={hostile.recipe.pk}&kind=pipeline",
        "/completions/",
        f"/completions/{hostile.completion.pk}/",
        "/exports/",
        f"/exports/{hostile.export.pk}/",
        f"/recipes/hostile/{hostile.recipe.version}/",
        "/training/",
        f"/training/{hostile.training_run.pk}/",
        f"/training/start/?export={hostile.export.pk}",
        "/review/",
        f"/review/{hostile.queue.pk}/",
    ]
