"""The edit of a card in a real browser, beside a server that a test can break."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.template.loader import render_to_string
from playwright.sync_api import Page, Route, expect

from review.logic.highlights import shared_spans, split_spans
from review.queries.drafts import EditField, EditForm
from review.queries.marked_texts import MarkedPane, MarkedTexts

pytestmark = pytest.mark.browser

ORIGIN = "http://edit.test"
SCRIPT = """
<script type="module">
import { openEdit, isEditing } from "/js/review-edit.js";
window.said = [];
const card = document.getElementById("card");
window.start = () => openEdit(card, { onSave: (f) => said.push(f), onLeave: () => said.push("left") });
window.editing = () => isEditing(card);
addEventListener("keydown", (event) => said.push(`key ${event.key}`));
start();
</script>
"""


@pytest.fixture
def edit(page: Page) -> Iterator[SimpleNamespace]:
    """A page with one card in its edit; `check` is what the server answers to a draft."""
    server = SimpleNamespace(page=page, drafts=[], status=200, codes="", problems=[])
    field = EditField("hypothesis", "Hypothesis", "Dry soil slows it.", "Dry soil slows it.")
    source = "In dry soil slows nearly everything; dry soil slows it."
    (drawn,), theirs = shared_spans([field.original], source)
    texts = MarkedTexts(
        (MarkedPane("Hypothesis", split_spans(field.original, drawn)),),
        split_spans(source, theirs),
        (),
    )
    completion = SimpleNamespace(sample=SimpleNamespace(text=source, instruction=""))
    card = {
        "slot": SimpleNamespace(pk=1, queue_id=1, completion=completion),
        "proof": "p",
        "decision_key": uuid.uuid4(),
        "edit": EditForm((field,)),
        "texts": texts,
    }
    parts = [
        render_to_string(f"review/{name}.html", {"card": card})
        for name in ("card_text", "card_edit")
    ]
    css = "".join(
        f'<link rel="stylesheet" href="/css/{n}.css">' for n in ("app", "review", "review-edit")
    )
    body = (
        f'<!doctype html><html lang="en"><title>Edit</title>{css}<article id="card" '
        f'class="review-card"><div class="review-panes">{"".join(parts)}</div></article>{SCRIPT}'
    )

    def serve(route: Route) -> None:
        path = route.request.url.removeprefix(ORIGIN)
        file = Path(settings.BASE_DIR) / "static" / path.lstrip("/")
        if route.request.method == "POST":
            server.drafts.append(route.request.post_data)
            check = f'<div class="review-check" data-codes="{server.codes}" data-state="saved">checked</div>'
            route.fulfill(status=server.status, content_type="text/html", body=check)
        elif file.is_file():
            route.fulfill(path=file)
        else:
            route.fulfill(content_type="text/html", body=body)

    page.route(f"{ORIGIN}/**", serve)
    page.on("pageerror", lambda error: server.problems.append(str(error)))
    page.goto(f"{ORIGIN}/")
    yield server
    assert server.problems == []


def said(edit: SimpleNamespace) -> list[object]:
    return list(edit.page.evaluate("window.said"))


def test_what_is_typed_is_kept_checked_and_saved(edit: SimpleNamespace) -> None:
    area = edit.page.locator("textarea")
    expect(area).to_be_focused()
    area.press_sequentially("a")
    expect(edit.page.locator(".review-saved")).to_contain_text("Draft saved")
    expect(edit.page.locator(".review-check")).to_have_text("checked")
    area.press("Control+Enter")
    edit.page.wait_for_function("said.length === 1")
    assert len(said(edit)) == 1
    assert "a" in said(edit)[0]["hypothesis"]
    assert len(edit.drafts) == 1, "what was checked is not sent again"
    assert not edit.page.evaluate("editing()")


def test_findings_are_read_before_they_are_saved(edit: SimpleNamespace) -> None:
    edit.codes = "citation"
    area = edit.page.locator("textarea")
    area.fill("As in [1].")
    area.press("Control+Enter")
    expect(edit.page.locator(".review-saved")).to_contain_text("press again")
    assert said(edit) == []
    area.press("Control+Enter")
    edit.page.wait_for_function("said.length === 1")
    assert said(edit) == [{"hypothesis": "As in [1]."}]


def test_a_broken_server_loses_nothing(edit: SimpleNamespace) -> None:
    edit.status = 500
    area = edit.page.locator("textarea")
    area.fill("Mine.")
    area.press("Control+Enter")
    expect(edit.page.locator(".review-saved")).to_contain_text("the server answered 500")
    expect(area).to_have_value("Mine.")
    area.press("Control+Enter")
    edit.page.wait_for_function("said.length === 1")
    assert said(edit) == [{"hypothesis": "Mine."}]


def test_leaving_keeps_the_words(edit: SimpleNamespace) -> None:
    area = edit.page.locator("textarea")
    area.fill("Half a thou")
    area.press("Escape")
    assert said(edit) == ["left"]
    expect(area).to_be_hidden()
    edit.page.evaluate("start()")
    expect(area).to_have_value("Half a thou")
    assert len(edit.drafts) >= 1
