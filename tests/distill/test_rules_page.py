"""The rules' pages: hits with their evidence marked, near misses, nothing else."""

from __future__ import annotations

import json

import pytest
from django.urls import reverse

from distill.logic.rules import RULES
from distill.services.snapshots import take_snapshot
from tests.builders import make_completion, make_dataset, make_label, make_run, make_user

pytestmark = pytest.mark.django_db

CITED = {
    "hypothesis": "Nitrate rises by 20 % when soils are wetted, as reported before [12].",
    "methodology": "Measure nitrate <script>alert(1)</script> weekly in 24 cores against a control.",
}


@pytest.fixture(autouse=True)
def _signed_in(client, settings, tmp_path):
    settings.DATA_DIR = tmp_path
    client.force_login(make_user("lead"))


@pytest.fixture
def dataset():
    dataset = make_dataset()
    make_run(dataset)
    make_label(make_completion(dataset=dataset, fields=CITED, text=json.dumps(CITED)))
    take_snapshot(dataset=dataset)
    return dataset


def page(client, dataset, code="", **query):
    name = "distill:rule" if code else "distill:rules"
    return client.get(reverse(name, args=[dataset.pk, *([code] if code else [])]), query)


def test_every_rule_is_listed_with_what_it_says(client, dataset):
    rows = {row.rule: row for row in page(client, dataset).context["rows"]}
    assert list(rows) == list(RULES)
    assert all(rule.says for rule in rows)
    cited = next(row for rule, row in rows.items() if rule.switch == "citation")
    assert (cited.hits, cited.agreed, cited.decided) == (1, 0, 1)


def test_before_a_snapshot_the_pages_say_where_to_take_one(client):
    dataset = make_dataset()
    assert "Nothing was looked at yet" in page(client, dataset).text
    assert "Nothing was looked at yet" in page(client, dataset, "citation").text


def test_a_hit_is_marked_where_it_stands_and_stays_text(client, dataset):
    text = page(client, dataset, "citation").text
    assert ">[12]</mark>" in text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.switch)
def test_every_count_is_that_of_its_page(client, dataset, rule):
    row = next(row for row in page(client, dataset).context["rows"] if row.rule is rule)
    assert page(client, dataset, rule.switch).context["page"].total == row.hits
    assert page(client, dataset, rule.switch, show="near").context["page"].total == row.near


def test_a_near_miss_of_a_threshold_is_shown(client, dataset):
    fields = {
        "hypothesis": "Nitrate rises when soils are wetted by rain in spring, by 20 % at least",
        "methodology": "Measure nitrate weekly in 24 cores and compare with a control.",
    }
    near = make_completion(dataset=dataset, fields=fields, text=json.dumps(fields))
    take_snapshot(dataset=dataset)
    shown = page(client, dataset, "too_short", show="near").context["page"].rows
    assert near.pk in [one.completion_id for one in shown]


def test_an_unknown_rule_is_not_found(client, dataset):
    assert page(client, dataset, "nonsense").status_code == 404


def test_pages_beyond_the_last_are_empty(client, dataset):
    assert page(client, dataset, "citation", page="99").context["page"].rows == []


def test_a_reviewer_may_not_look(client, dataset):
    client.force_login(make_user("reviewer"))
    assert page(client, dataset).status_code == 403
    assert page(client, dataset, "citation").status_code == 403
