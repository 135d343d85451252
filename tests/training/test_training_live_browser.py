"""A training in a real browser: its page follows it and rests; a config is loaded and weighed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from distill.services.export import export_dataset
from tests.builders import make_completion, make_metrics, make_training_run, make_user
from training.models import TrainingRun
from training.queries.folders import layout_of

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
_State = TrainingRun.State


@pytest.fixture
def operator(page: Page, live_server: Any) -> Iterator[Page]:
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


def test_the_page_follows_its_training_and_rests_when_it_has_ended(
    operator: Page, live_server: Any
) -> None:
    now = timezone.now()
    run = make_training_run(state=_State.RUNNING, max_steps=9, started_at=now, heartbeat_at=now)
    operator.goto(live_server.url + reverse("training:training_run", args=[run.pk]))
    plots, log = operator.locator("#training-plots"), operator.locator("#training-log")
    expect(plots).to_contain_text("Nothing measured yet")
    make_metrics(run, 5)
    layout_of(run).log.write_text("step 5: loss 20\n")
    TrainingRun.objects.update(step=5)
    expect(operator.locator("#training-live")).to_contain_text("5 of 9")
    expect(plots).to_contain_text("held-out 20")
    expect(log).to_contain_text("step 5: loss 20")
    TrainingRun.objects.update(state=_State.DONE, finished_at=timezone.now())
    expect(operator.locator("h1 .badge")).to_have_text(re.compile("Done"))
    for part in (plots, log):
        expect(part).not_to_have_attribute("hx-trigger", "every 2s", timeout=8000)
    asked: list[str] = []
    operator.on("request", lambda request: asked.append(request.url))
    operator.wait_for_timeout(2500)
    assert asked == []


def test_a_config_is_loaded_weighed_and_started_once(operator: Page, live_server: Any) -> None:
    export_dataset(dataset=make_completion().sample.dataset, policy="gate")
    operator.goto(live_server.url + reverse("training:start_training"))
    document, estimate = operator.get_by_label("Config"), operator.locator("#training-estimate")
    document.fill("max_steps: 7\n")
    document.blur()
    expect(estimate).to_contain_text("7 as the config says")
    operator.get_by_role("button", name="Load it").click()
    expect(document).to_have_value(re.compile("learning_rate"))
    expect(estimate).not_to_contain_text("as the config says")
    document.fill("max_steps: 8\n")
    operator.get_by_label("Tags").focus()
    expect(estimate).to_contain_text("8 as the config says")
    operator.get_by_role("button", name="Start the training").dblclick()
    expect(operator.locator("h1")).to_contain_text("Training run")
    assert TrainingRun.objects.filter(max_steps=8).count() == 1
