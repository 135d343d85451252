"""A run's page in a real browser: it follows the run by itself, and rests when that has ended."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from distill.logic.pulse import Pulse, write_pulse
from distill.logic.reading import LaneReading, Reading
from distill.models import Run, RunEvent, SampleDraw, Shift
from tests.builders import (
    make_dataset,
    make_reading,
    make_recipe,
    make_run,
    make_sample,
    make_sample_draw,
    make_shift,
    make_user,
)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def operator(page: Page, live_server) -> Iterator[Page]:
    """A browser in which an operator is logged in; nothing may be wrong in its console."""
    client = Client()
    client.force_login(make_user("operator"))
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    page.context.add_cookies(
        [{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}]
    )
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    yield page
    assert not faults


def _open(page: Page, live_server, name: str, *args: object) -> None:
    page.goto(live_server.url + reverse(name, args=args))


def test_the_page_follows_its_run_and_rests_when_it_has_ended(operator, live_server):
    run = make_run(
        state=Run.State.RUNNING,
        is_populated=True,
        started_at=timezone.now() - timedelta(minutes=1),
    )
    make_sample_draw(run, state=SampleDraw.State.PENDING)
    shift = make_shift(run, began=timezone.now() - timedelta(minutes=1))
    for second in (40, 20, 0):
        make_reading(shift, timezone.now() - timedelta(seconds=second), replies=9, limit=17)
    _open(operator, live_server, "distill:run", run.pk)
    live = operator.locator("#run-live")
    expect(live).to_contain_text("0 of 1")
    course = operator.locator("#run-plots")
    expect(course).to_contain_text("27 in all")
    open_circuit = LaneReading(limit=1.0, state="open")
    reading = Reading(slots=64, lanes={"offline:extractive": open_circuit})
    Shift.objects.update(pulse=write_pulse(Pulse(reading)), heartbeat_at=timezone.now())
    expect(live).to_contain_text("Waiting for offline:extractive.")
    make_reading(shift, timezone.now(), replies=9, limit=1, state="open")
    expect(course).to_contain_text("36 in all", timeout=8000)
    expect(course).to_contain_text("The circuit of offline:extractive was open")
    SampleDraw.objects.update(state=SampleDraw.State.PASSED)
    RunEvent.objects.create(run=run, message="One more is there.")
    expect(live).to_contain_text("1 of 1")
    expect(operator.locator("#run-log")).to_contain_text("One more is there.")
    Run.objects.update(state=Run.State.DONE, finished_at=timezone.now())
    expect(live.locator("h1 .badge")).to_have_text(re.compile("Done"))
    expect(operator.locator("#run-waterfall:not([hx-trigger])")).to_be_visible(timeout=8000)
    expect(operator.locator("#run-plots:not([hx-trigger])")).to_be_visible(timeout=8000)
    expect(live).not_to_contain_text("Waiting for")
    asked: list[str] = []
    operator.on("request", lambda request: asked.append(request.url))
    operator.wait_for_timeout(2500)
    assert asked == []


def test_stopping_and_resuming_by_keyboard(operator, live_server):
    run = make_run(is_populated=True)
    make_sample_draw(run, state=SampleDraw.State.PENDING)
    _open(operator, live_server, "distill:run", run.pk)
    operator.locator("#stop-run").press("Enter")
    expect(operator.locator("h1")).to_contain_text("Stopped")
    operator.locator("#resume-run").press("Enter")
    expect(operator.locator("h1")).to_contain_text("Queued")


def test_a_choice_shows_at_once_what_it_would_ask(operator, live_server):
    dataset = make_dataset("reefs")
    make_recipe(name="field", judges=[])
    for _number in range(4):
        make_sample(dataset)
    _open(operator, live_server, "distill:start_run")
    preview = operator.locator("#run-preview")
    expect(preview.locator("details")).to_have_count(3)
    operator.get_by_label("Draws per sample").fill("5")
    operator.get_by_label("Sample limit").fill("2")
    operator.get_by_label("Budget in US dollars").focus()
    expect(preview).to_contain_text("10")
    expect(preview.locator("details")).to_have_count(2)
    assert not Run.objects.exists()
