"""The forms about money on a run's page: another budget, what was possibly billed."""

from __future__ import annotations

import pytest
from django.urls import reverse

from distill.models import Purchase, Reply, Run
from tests.builders import make_recipe, make_run, make_user
from tests.distill.test_run_money import PRICED, answer, buy, lose

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(client):
    client.force_login(make_user("operator"))
    return client


@pytest.fixture
def run():
    recipe = make_recipe(teacher=PRICED, judges=[])
    return make_run(
        recipe=recipe,
        state=Run.State.STOPPED,
        is_populated=True,
        budget_nano=2_000_000_000,
        reserved_nano=100,
    )


def post(client, name, run, **data):
    return client.post(reverse(f"distill:{name}", args=[run.pk]), data, follow=True)


def test_the_page_shows_stages_templates_and_the_forms(operator, run):
    answer(buy(run), 40, prompt_tokens=1_234, completion_tokens=5, cached_tokens=7)
    answer(buy(run, stage=Purchase.Stage.JUDGE, template_name="method", bound=None), None)
    lose(run)
    page = operator.get(reverse("distill:run", args=[run.pk])).text
    for told in ("First attempts", "Judges", "1,234", "7 cached", "unpriced", "By template"):
        assert told in page, told
    assert 'name="budget"' in page
    assert 'value="2"' in page
    assert "Settle for good" in page


def test_a_lead_has_no_forms(client, run):
    client.force_login(make_user("lead"))
    lose(run)
    page = client.get(reverse("distill:run", args=[run.pk])).text
    assert "Settle for good" not in page
    assert 'name="budget"' not in page
    for name in ("raise_budget", "settle_lost"):
        assert post(client, name, run, budget="5", billed="nothing").status_code == 403
    run.refresh_from_db()
    assert (run.budget_nano, run.reserved_nano) == (2_000_000_000, 100)


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_the_budget_is_raised_and_the_run_goes_on(operator, run, headers):
    url = reverse("distill:raise_budget", args=[run.pk])
    for _ in range(2):
        operator.post(url, {"budget": "3.5", "resume": "1"}, headers=headers)
    run.refresh_from_db()
    assert (run.budget_nano, run.state) == (3_500_000_000, Run.State.QUEUED)


def test_the_budget_is_raised_alone(operator, run):
    assert "is $3.5." in post(operator, "raise_budget", run, budget="3.5").text
    run.refresh_from_db()
    assert run.state == Run.State.STOPPED


@pytest.mark.parametrize(
    ("budget", "told"),
    [("0.00000001", "greater than"), ("", "required"), ("much", "number")],
)
def test_a_budget_that_cannot_be_is_refused(operator, run, budget, told):
    assert told in post(operator, "raise_budget", run, budget=budget).text
    run.refresh_from_db()
    assert run.budget_nano == 2_000_000_000


def test_a_budget_below_what_is_spent_is_refused_on_the_page(operator, run):
    Run.objects.filter(pk=run.pk).update(spent_nano=1_000_000_000)
    assert "must be at least" in post(operator, "raise_budget", run, budget="0.5").text


@pytest.mark.parametrize(
    ("data", "spent"),
    [
        ({"billed": "nothing"}, 0),
        ({"billed": "in_full"}, 100),
        ({"billed": "amount", "amount": "0.00000004"}, 40),
    ],
)
def test_what_was_possibly_billed_is_settled_once(operator, run, data, spent):
    lose(run)
    assert "1 requests were settled" in post(operator, "settle_lost", run, **data).text
    assert "nothing to settle" in post(operator, "settle_lost", run, **data).text
    run.refresh_from_db()
    assert (run.spent_nano, run.reserved_nano) == (spent, 0)
    assert Reply.objects.get().outcome == Reply.SETTLED


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({}, "required"),
        ({"billed": "amount"}, "Write the amount"),
        ({"billed": "amount", "amount": "1"}, "more than they can have cost"),
    ],
)
def test_a_settlement_that_cannot_be_is_refused(operator, run, data, told):
    lose(run)
    assert told in post(operator, "settle_lost", run, **data).text
    assert not Reply.objects.exists()
