from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_the_browser_reaches_the_live_site(live_server, page: Page) -> None:
    page.goto(f"{live_server.url}/healthz")
    expect(page.locator("body")).to_contain_text('"database": "ok"')
