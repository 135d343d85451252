"""The list of training runs: what it shows, filters, pages and polls."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from distill.models import Export
from distill.services.export import export_dataset
from tests.builders import make_completion, make_training_run, make_user
from training.models import TrainingRun

pytestmark = pytest.mark.django_db
_State = TrainingRun.State


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(make_user("operator"))
    return client


@pytest.fixture
def export() -> Export:
    return export_dataset(dataset=make_completion().sample.dataset, policy="gate")


def _list(client: Client, **asked: str | int) -> Any:
    return client.get(reverse("training:training_runs"), asked)


def test_an_empty_list_says_how_to_begin(operator: Client) -> None:
    page = _list(operator).text
    assert "No student trained yet" in page
    assert f'href="{reverse("distill:exports")}"' in page
    export_dataset(dataset=make_completion().sample.dataset, policy="gate")
    assert "Train the first student" in _list(operator).text


def test_a_line_says_what_was_trained_on_what_and_how_well(
    operator: Client, export: Export
) -> None:
    began = timezone.now() - timedelta(minutes=5)
    make_training_run(
        export,
        num_steps=40,
        max_steps=160,
        tags=["gate-on"],
        state=_State.DONE,
        started_at=began,
        finished_at=began + timedelta(minutes=2),
    )
    page = _list(operator).text
    for words in ("tiny", str(export), "40 of 160", "2.5", "2 min 00 s", "gate-on", "Done"):
        assert words in page
    assert reverse("distill:export", args=[export.pk]) in page
    assert "hx-trigger" not in page.partition('id="training-list"')[2].partition(">")[0]


def test_it_is_filtered_by_state_and_tag(operator: Client) -> None:
    make_training_run(name="first", tags=["a", "b"], state=_State.DONE)
    make_training_run(name="second", tags=["b"], state=_State.FAILED)
    assert _named(_list(operator)) == ["second", "first"]
    assert _named(_list(operator, tag="a")) == ["first"]
    assert _named(_list(operator, tag="b", state="failed")) == ["second"]
    assert "No training run is like that" in _list(operator, tag="c").text
    assert _named(_list(operator, state="nonsense")) == ["second", "first"]


def _named(response: Any) -> list[str]:
    return re.findall(r"\d+ · (\w+)</a>", response.text)


def test_it_goes_on_by_keyset(operator: Client) -> None:
    for number in range(22):
        make_training_run(name=f"run{number}", tags=["a"])
    first = _list(operator, tag="a")
    assert len(_named(first)) == 20
    after = re.search(r"after=(\d+)", first.text)
    assert after
    assert _named(_list(operator, tag="a", after=after[1])) == ["run1", "run0"]


def test_it_polls_while_one_is_active_and_stops_then(operator: Client) -> None:
    run = make_training_run(state=_State.RUNNING)
    assert 'hx-trigger="every 2s"' in _list(operator).text
    headers = {"HX-Request": "true", "HX-Target": "training-list"}
    url = reverse("training:training_runs")
    assert operator.get(url, headers=headers).status_code == 200
    TrainingRun.objects.filter(pk=run.pk).update(state=_State.DONE)
    answer = operator.get(url, headers=headers)
    assert answer.status_code == 286
    assert "<html" not in answer.text


def test_more_runs_ask_no_more_queries(
    operator: Client, export: Export, django_assert_max_num_queries: Any
) -> None:
    for _number in range(5):
        make_training_run(export, num_steps=3, created_by=make_user())
    with django_assert_max_num_queries(6):
        _list(operator)


def test_a_lead_looks_and_a_reviewer_does_not(client: Client) -> None:
    client.force_login(make_user("lead"))
    page = _list(client)
    assert page.status_code == 200
    assert reverse("training:start_training") not in page.text
    client.force_login(make_user("reviewer"))
    assert _list(client).status_code == 403
    assert "/training/" not in client.get("/").text
