"""The gate through the API: what it does, what other settings would do, and keeping them."""

from __future__ import annotations

import json

import pytest

from distill.api import gate
from distill.logic.rules import RULES
from distill.models import CompletionState, Recipe
from distill.services.snapshots import take_snapshot
from tests.builders import (
    PAIR,
    asked_as,
    make_completion,
    make_dataset,
    make_judgement,
    make_run,
    make_sample,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _data(settings, tmp_path):
    settings.DATA_DIR = tmp_path


@pytest.fixture
def dataset():
    dataset = make_dataset("reef")
    make_run(dataset)
    source = " ".join(reversed(PAIR["hypothesis"].split())) + " Nitrate was measured weekly. " * 4
    for mean in (0.9, 0.85, 0.7, 0.3):
        one = make_completion(make_sample(dataset, text=source), text=json.dumps(PAIR))
        make_judgement(one, scores={"grounding": mean, "plausibility": mean}, **asked_as())
    return dataset


def url(dataset, rest: str = "") -> str:
    return f"/api/v1/datasets/{dataset.pk}/gate/{rest}"


def test_before_the_first_look_there_is_no_outcome_and_twice_is_harmless(api, dataset):
    client = api("lead")
    first = client.get(url(dataset)).json()
    assert (first["outcome"], first["taken_at"], first["is_stale"]) == (None, None, True)
    for _ in range(2):
        looked = client.post(url(dataset, "refresh/"))
        assert (looked.status_code, looked.json()["outcome"]["now"]["passed"]) == (200, 2)
    assert client.get(url(dataset)).json()["is_stale"] is False


def test_many_are_read_by_a_worker(api, dataset, enqueued, monkeypatch):
    monkeypatch.setattr(gate, "TAKEN_AT_ONCE", 3)
    assert api("lead").post(url(dataset, "refresh/")).status_code == 202
    assert len(enqueued) == 1


def test_what_is_left_out_stays_and_what_is_moved_counts(api, dataset):
    take_snapshot(dataset=dataset)
    client, states = api("lead"), list(CompletionState.objects.order_by("pk").values())
    found = client.get(url(dataset), {"min_mean": "0.6"}).json()["outcome"]
    assert (found["now"]["passed"], found["then"]["passed"]) == (2, 3)
    assert [change["why"] for change in found["changes"]] == [["low_score"]]
    off = {"min_chars": "5000", "too_short": "false"}
    assert client.get(url(dataset), off).json()["outcome"]["then"]["passed"] == 2
    scored = client.get(url(dataset), {"score.grounding": "0.88"}).json()["outcome"]
    assert scored["then"]["passed"] == 1
    assert list(CompletionState.objects.order_by("pk").values()) == states


def test_a_part_of_it_and_by_attempt(api, dataset):
    take_snapshot(dataset=dataset)
    found = api("lead").get(url(dataset), {"domain": "nothing", "by": "attempt"}).json()["outcome"]
    assert (found["then"]["total"], found["groups"]) == (0, [])


@pytest.mark.parametrize(
    "bad",
    [
        {"min_meen": "1"},
        {"min_mean": "7"},
        {"min_mean": "high"},
        {"citation": "perhaps"},
        {"score.beauty": "0.5"},
        {"score.grounding": "x"},
        {"by": "size"},
    ],
)
def test_what_cannot_be_moved_is_refused(api, dataset, bad):
    take_snapshot(dataset=dataset)
    assert api("lead").get(url(dataset), bad).status_code == 400
    if "by" not in bad:
        num = Recipe.objects.count()
        assert api("operator").post(url(dataset, "save/"), bad, format="json").status_code == 400
        assert Recipe.objects.count() == num


def test_saving_makes_a_version_once(api, dataset):
    client, body = api("operator"), {"min_mean": 0.6, "citation": False, "score.grounding": 0.5}
    first, second = (client.post(url(dataset, "save/"), body, format="json") for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    content = Recipe.objects.get(pk=first.json()["id"]).content
    assert (content.gate.min_mean, content.rules.citation) == (0.6, False)
    assert (dict(content.gate.min_scores), content.rules.hedging) == ({"grounding": 0.5}, True)


def test_a_lead_may_look_and_not_save(api, dataset):
    body = {"min_mean": 0.6}
    assert api("lead").post(url(dataset, "save/"), body, format="json").status_code == 403


def test_every_rule_is_listed_with_its_settings(api):
    rules = api("lead").get("/api/v1/rules/").json()
    assert [rule["code"] for rule in rules] == [rule.switch for rule in RULES]
    assert rules[0]["settings"] == {"too_short": True, "min_chars": 120, "min_tokens": 20}
    assert all(rule["says"] and rule["label"] for rule in rules)
