"""The gate's page: what it shows is what it counts, and moving a threshold changes nothing stored."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from django.urls import reverse
from django.utils.html import strip_tags

from distill.models import CompletionState, Recipe, Verdict
from distill.services.snapshots import take_snapshot
from tests.builders import (
    PAIR,
    asked_as,
    make_completion,
    make_dataset,
    make_judgement,
    make_label,
    make_run,
    make_sample,
    make_user,
)

pytestmark = pytest.mark.django_db

COUNT = re.compile(r'<a href="([^"]+gate/completions/[^"]+)"[^>]*>(.*?)</a>', re.DOTALL)


@pytest.fixture
def operator(client):
    client.force_login(make_user("operator"))
    return client


@pytest.fixture(autouse=True)
def _data(settings, tmp_path):
    settings.DATA_DIR = tmp_path


def grounded(mean: float, *, dataset):
    # The same words in another order: grounded, and not copied.
    source = " ".join(reversed(PAIR["hypothesis"].split())) + " Nitrate was measured weekly. " * 4
    sample = make_sample(dataset, text=source)
    one = make_completion(sample, text=json.dumps(PAIR))
    make_judgement(one, scores={"grounding": mean, "plausibility": mean}, **asked_as())
    return one


@pytest.fixture
def dataset():
    dataset = make_dataset()
    make_run(dataset)
    for mean in (0.9, 0.85, 0.7, 0.3):
        grounded(mean, dataset=dataset)
    make_label(grounded(0.75, dataset=dataset))
    cited = {"hypothesis": "It rises, see [12].", "methodology": "Measure it [3]."}
    make_completion(dataset=dataset, fields=cited)
    take_snapshot(dataset=dataset)
    return dataset


def address(dataset, name="gate"):
    return reverse(f"distill:{name}", args=[dataset.pk])


def test_without_completions_it_says_what_to_do(operator):
    page = operator.get(address(make_dataset())).content.decode()
    assert "No completions yet" in page


def test_the_first_look_is_taken_by_a_button_and_twice_is_harmless(operator):
    dataset = make_dataset()
    make_completion(dataset=dataset)
    assert "Not looked at yet" in operator.get(address(dataset)).content.decode()
    for _ in range(2):
        assert operator.post(address(dataset, "refresh_gate")).status_code == 302
    assert "1 completions" in strip_tags(operator.get(address(dataset)).content.decode())


def test_every_number_is_that_of_the_list_behind_it(operator, dataset):
    page = operator.get(address(dataset), {"asked": "on", "min_mean": "0.5", "citation": "on"})
    links = COUNT.findall(page.content.decode())
    assert len(links) > 8
    for href, words in links:
        number = re.search(r"\d[\d,]*", strip_tags(words).replace("−", ""))
        listed = operator.get(href.replace("&amp;", "&")).content.decode()
        title = re.search(r"<h1>([\d,]+) completion", listed)
        assert (title and title[1]) == (number and number[0]), href


def test_a_lower_threshold_shows_who_would_pass(operator, dataset):
    now = operator.get(address(dataset))
    then = operator.get(address(dataset), _asked(now, min_mean="0.6"))
    before, after = now.context["page"].then, then.context["page"].then
    assert (after.passed - before.passed, then.context["page"].now) == (2, before)
    changed = [row.change.label for row in then.context["page"].changes]
    assert changed == ["accepted", None]
    assert "would pass" in then.content.decode()


def _asked(response, **changed):
    form = response.context["form"]
    values = {name: value for name, value in form.data.items() if value not in (None, False)}
    return values | {"asked": "on"} | changed


def test_by_attempt_those_that_were_replaced_count_too(operator):
    dataset = make_dataset()
    sample = make_sample(dataset)
    first = make_completion(sample, attempt=1)
    make_completion(sample, attempt=2)
    CompletionState.objects.filter(pk=first.pk).update(is_open=False)
    take_snapshot(dataset=dataset)
    page = operator.get(address(dataset), {"by": "attempt"})
    assert page.context["page"].then.total == 1
    for group, links in page.context["page"].groups:
        assert group.total == 1
        listed = operator.get(links["total"])
        assert listed.context["found"].total == 1


def test_looking_changes_nothing(operator, dataset):
    stored = list(CompletionState.objects.order_by("pk").values())
    operator.get(address(dataset), {"asked": "on", "min_mean": "0.1"})
    assert list(CompletionState.objects.order_by("pk").values()) == stored
    assert not Verdict.objects.exists()


def test_a_value_out_of_range_is_said_beside_its_field(operator, dataset):
    page = operator.get(address(dataset), {"asked": "on", "min_mean": "7"})
    assert page.status_code == 200
    assert "0 to 1" in page.context["form"].errors["min_mean"][0]


@pytest.mark.parametrize("bad", ["all:x", "first:nonsense", "x", "has:", "after:safety:1"])
def test_an_unknown_number_is_not_found(operator, dataset, bad):
    assert operator.get(address(dataset, "gate_completions"), {"show": bad}).status_code == 404


def test_htmx_gets_the_outcome_alone(operator, dataset):
    part = operator.get(
        address(dataset), headers={"HX-Request": "true", "HX-Target": "outcome"}
    ).content.decode()
    assert 'id="outcome"' in part
    assert "<html" not in part


def test_saving_makes_a_version_once_and_offers_a_run(operator, dataset):
    asked = _asked(operator.get(address(dataset)), min_mean="0.6")
    answers = [operator.post(address(dataset, "save_gate"), asked) for _ in range(2)]
    target = parse_qs(urlsplit(answers[0].url).query)
    recipe = Recipe.objects.get(pk=target["recipe"][0])
    assert recipe.content.gate.min_mean == 0.6
    assert target["kind"] == ["reevaluate"]
    assert answers[0].url == answers[1].url


def test_what_is_out_of_range_is_not_saved(operator, dataset):
    num = Recipe.objects.count()
    operator.post(address(dataset, "save_gate"), {"asked": "on", "min_mean": "7"})
    assert Recipe.objects.count() == num


def test_a_lead_may_look_and_not_save(client, dataset):
    client.force_login(make_user("lead"))
    assert client.get(address(dataset)).status_code == 200
    assert client.post(address(dataset, "save_gate"), {"asked": "on"}).status_code == 403


def test_hostile_text_stays_text(operator):
    dataset = make_dataset()
    make_run(dataset)
    bad = "<script>alert(1)</script>" * 3
    make_judgement(make_completion(dataset=dataset, fields={"hypothesis": bad, "methodology": bad}))
    take_snapshot(dataset=dataset)
    page = operator.get(address(dataset, "gate_completions"), {"show": "all"})
    assert "<script>alert" not in page.content.decode()


def test_the_page_costs_the_same_queries_for_more_rows(
    operator, dataset, django_assert_max_num_queries
):
    for _ in range(10):
        grounded(0.9, dataset=dataset)
    take_snapshot(dataset=dataset)
    with django_assert_max_num_queries(17):
        operator.get(address(dataset))
