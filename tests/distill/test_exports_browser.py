"""Filtering completions and making an export by mouse, in a real browser under the strict CSP."""

from __future__ import annotations

import pytest
from django.urls import reverse

from distill.models import Export
from tests.builders import PASSWORD, make_completion, make_dataset, make_label, make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_what_is_accepted_is_found_and_exported(live_server, page):
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    lead = make_user("lead")
    dataset = make_dataset("soils")
    for _ in range(2):
        make_label(make_completion(dataset=dataset), reviewer=lead)
    make_completion(dataset=dataset)

    page.goto(f"{live_server.url}{reverse('login')}?next={reverse('distill:completions')}")
    page.fill("input[name=username]", lead.username)
    page.fill("input[name=password]", PASSWORD)
    page.click("main button")
    page.get_by_text("3 completions").wait_for()
    page.select_option("select[name=label]", "accepted")
    page.get_by_text("2 completions").wait_for()
    assert "label=accepted" in page.url

    page.goto(live_server.url + reverse("distill:exports"))
    page.select_option("select[name=dataset]", "soils")
    page.get_by_role("button", name="Export 2 completions").click()
    page.get_by_role("heading", name="soils v1").wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="manifest.json").click()
    assert download.value.suggested_filename == "soils-v1-manifest.json"
    assert Export.objects.get().created_by == lead
    assert faults == []
