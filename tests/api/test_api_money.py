"""Prices, a run's money, another budget and lost requests through the API."""

from __future__ import annotations

import pytest

from distill.logic.price_table import dump_price_table
from distill.models import PriceList, Reply
from distill.queries.prices import current_table, shipped_table
from distill.services.price_lists import current_price_list
from tests.builders import make_recipe, make_run
from tests.distill.test_price_lists import a_table
from tests.distill.test_run_money import PRICED, answer, buy, lose

pytestmark = pytest.mark.django_db

PRICES = "/api/v1/prices/"


def test_the_prices_are_read_and_changed(api):
    shown = api("lead").get(PRICES).json()
    assert (shown["version"], shown["currency"]) == (None, "USD")
    assert shown["prices"]["openai:gpt-4o-mini"]["cached_input_per_million"] == 0.075
    first = current_price_list()
    body = {"yaml": dump_price_table(a_table()), "note": "ours", "based_on": first.pk}
    client = api("operator")
    saved = client.post(PRICES, body, format="json")
    assert (saved.status_code, saved.json()["prices"].keys()) == (201, {"test:model"})
    assert client.post(PRICES, body, format="json").status_code == 200
    assert current_table() == a_table()
    assert PriceList.objects.count() == 2
    again = {"yaml": shown["yaml"], "based_on": first.pk}
    stale = client.post(PRICES, again, format="json")
    assert (stale.status_code, "changed in between" in stale.json()["detail"]) == (409, True)
    assert client.post(PRICES, {"yaml": shown["yaml"]}, format="json").status_code == 201
    assert current_table() == shipped_table()


def test_a_bad_table_is_refused_with_its_line(api):
    refused = api("operator").post(PRICES, {"yaml": "as_of: today\nprices: {}\n"}, format="json")
    assert refused.status_code == 400
    assert "line 1" in str(refused.json()["yaml"])
    unknown = {"yaml": dump_price_table(a_table()), "based_on": 999_999}
    assert api("operator").post(PRICES, unknown, format="json").status_code == 400
    assert current_table() == shipped_table()


@pytest.fixture
def run():
    recipe = make_recipe(teacher=PRICED, judges=[])
    return make_run(
        recipe=recipe, budget_nano=1_000_000_000, spent_nano=40, reserved_nano=100, known_count=2
    )


def test_a_runs_money_is_text_in_dollars(api, run):
    answer(buy(run), 40, prompt_tokens=10, completion_tokens=5)
    lose(run)
    money = api("lead").get(f"/api/v1/runs/{run.pk}/money/").json()
    assert money["spent_usd"] == "0.000000040"
    assert money["possibly_billed"] == {"purchases": 1, "at_most_usd": "0.000000100", "unpriced": 0}
    assert money["left_usd"] == "0.999999860"
    (stage,) = money["stages"]
    assert (stage["label"], stage["purchases"], stage["spent_usd"]) == (
        "First attempts",
        1,
        "0.000000040",
    )
    assert (money["per_accepted_usd"], money["from_ledger"]) == (None, 2)


def test_a_budget_is_raised_through_the_api(api, run):
    client, url = api("operator"), f"/api/v1/runs/{run.pk}/budget/"
    for _ in range(2):
        assert client.post(url, {"budget_usd": "2.5"}, format="json").json()["budget_usd"] == (
            "2.500000000"
        )
    refused = client.post(url, {"budget_usd": "0.000001"}, format="json")
    assert refused.status_code == 200
    run.spent_nano = 2_000_000_000
    run.save(update_fields=["spent_nano"])
    assert client.post(url, {"budget_usd": "1"}, format="json").status_code == 400
    assert api("lead").post(url, {"budget_usd": "9"}, format="json").status_code == 403


def test_lost_requests_are_settled_through_the_api(api, run):
    lose(run)
    client, url = api("operator"), f"/api/v1/runs/{run.pk}/settle/"
    assert client.post(url, {"billed_usd": "1"}, format="json").status_code == 400
    settled = client.post(url, {"billed_usd": None}, format="json").json()
    assert settled == {"settled": 1, "usd": "0.000000100"}
    assert client.post(url, {"billed_usd": "0"}, format="json").json()["settled"] == 0
    assert Reply.objects.get().cost_nano == 100
