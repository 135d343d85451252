"""Writing a recipe in a real browser: what is wrong is said while one types, under the strict CSP."""

from __future__ import annotations

import pytest
from django.urls import reverse

from tests.builders import PASSWORD, make_recipe, make_user

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_recipe_is_checked_while_it_is_written_and_compared_when_saved(live_server, page):
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    lead = make_user("lead")
    make_recipe(name="field")

    page.goto(f"{live_server.url}{reverse('login')}?next={reverse('distill:new_recipe')}")
    page.fill("input[name=username]", lead.username)
    page.fill("input[name=password]", PASSWORD)
    page.click("main button")
    page.get_by_role("heading", name="New recipe").wait_for()
    page.fill("#id_document", "name: field\nteacher:\n  draw: 2\n")
    page.get_by_text('line 3, teacher: unknown key "draw", did you mean "draws"?').wait_for()
    page.fill("#id_document", "name: field\nteacher:\n  draws: 2\n")
    page.get_by_text("as field v2: 2 lines added or removed since v1").wait_for()
    page.get_by_role("button", name="Save the recipe").click()
    page.get_by_role("heading", name="What changed since v1").wait_for()

    page.get_by_role("link", name="v1").first.click()
    page.get_by_text("This is the first version").wait_for()
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("heading", name="What differs from v2").wait_for()
    assert faults == []
