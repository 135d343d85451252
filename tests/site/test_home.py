"""The dashboard: by role, live, and useful on the first day."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import timezone

from distill.models import Export, ExportedCompletion, Run, SampleDraw
from review.models import Queue, Slot
from tests.builders import (
    make_completion,
    make_dataset,
    make_label,
    make_run,
    make_sample_draw,
    make_training_run,
    make_user,
)
from training.models import Evaluation, TrainingRun

pytestmark = pytest.mark.django_db


def _open(client, *roles, **kwargs):
    client.force_login(make_user(*roles, **kwargs))
    return client.get(reverse("home"))


def _queue_one(completion):
    queue = Queue.objects.create(dataset=completion.sample.dataset)
    Slot.objects.create(queue=queue, completion=completion)
    return queue


def test_a_stranger_is_sent_to_log_in(client):
    answer = client.get(reverse("home"))
    assert answer.status_code == 302
    assert reverse("login") in answer.url


def test_the_first_day_shows_the_first_steps(client):
    page = _open(client, "operator").text
    assert "First steps" in page
    assert "Nothing waits for you" in page
    assert "No run is going on" in page


def test_a_reviewer_sees_the_queue_and_no_runs(client):
    completion = make_completion()
    queue = _queue_one(completion)
    make_run(completion.sample.dataset)
    page = _open(client, "reviewer").text
    assert '<b class="num">1</b> completion awaits a decision' in page
    assert reverse("review:queue", args=[queue.pk]) in page
    assert "Going on now" not in page
    assert "Where everything is" not in page


def test_an_account_without_a_role_is_told_so(client):
    page = _open(client).text
    assert "has no role yet" in page
    assert "What needs you" not in page


def test_a_superuser_needs_no_role(client):
    assert "has no role yet" not in _open(client, is_superuser=True).text


def test_an_operator_sees_runs_that_ended_badly(client):
    failed = make_run(state=Run.State.FAILED, finished_at=timezone.now(), message="<b>No key</b>")
    stopped = make_run(state=Run.State.STOPPED, finished_at=timezone.now())
    make_sample_draw(stopped, state=SampleDraw.State.PENDING)
    finished = make_run(state=Run.State.STOPPED, finished_at=timezone.now())
    overtaken = make_run(state=Run.State.FAILED, finished_at=timezone.now())
    make_run(overtaken.dataset, state=Run.State.DONE)
    page = _open(client, "operator").text
    assert "&lt;b&gt;No key&lt;/b&gt;" in page
    assert [f"Run {run.pk} " in page for run in (failed, stopped, finished, overtaken)] == [
        True,
        True,
        False,
        False,
    ]


def test_accepted_completions_that_no_export_holds_are_named(client):
    dataset = make_dataset("reefs")
    first, second = make_completion(dataset=dataset), make_completion(dataset=dataset)
    make_label(first)
    make_label(second)
    export = Export.objects.create(
        dataset=dataset, version=1, policy="reviewed", content_sha256="0", folder="x", manifest={}
    )
    ExportedCompletion.objects.create(export=export, completion=first)
    page = _open(client, "lead").text
    assert "Export reefs" in page
    assert f"{reverse('distill:exports')}?dataset=reefs" in page
    assert '<b class="num">1</b> accepted completion is in no export yet' in page
    assert "reefs v1" in page


def test_running_runs_are_polled_until_there_are_none(client):
    run = make_run(state=Run.State.RUNNING, is_populated=True)
    make_sample_draw(run, state=SampleDraw.State.PENDING)
    make_sample_draw(run)
    page = _open(client, "operator").text
    assert "<b>1</b> of 2" in page
    headers = {"HX-Request": "true", "HX-Target": "home-runs"}
    part = client.get(reverse("home"), headers=headers)
    assert part.status_code == 200
    assert "<html" not in part.text
    assert 'hx-trigger="every 2s"' in part.text
    Run.objects.update(state=Run.State.DONE)
    assert client.get(reverse("home"), headers=headers).status_code == 286


def test_the_dashboard_costs_few_queries(client, django_assert_max_num_queries):
    _queue_one(make_completion())
    for _number in range(4):
        make_sample_draw(make_run(state=Run.State.RUNNING))
        make_run(state=Run.State.FAILED, finished_at=timezone.now())
    _open(client, "operator", "lead", "reviewer")
    with django_assert_max_num_queries(26):
        client.get(reverse("home"))
    with django_assert_max_num_queries(7):
        client.get(reverse("home"), headers={"HX-Request": "true", "HX-Target": "home-runs"})


def test_students_and_what_trains_now_are_on_the_dashboard(client):
    trained = make_training_run(name="sage", state=TrainingRun.State.DONE)
    card = Evaluation.objects.create(
        training_run=trained,
        recipe=make_run().recipe,
        state=Evaluation.State.DONE,
        sample_limit=10,
    )
    active = make_training_run(name="novice", state=TrainingRun.State.RUNNING, step=3, max_steps=9)
    page = _open(client, "operator").text
    assert reverse("training:evaluation", args=[card.pk]) in page
    assert reverse("training:training_run", args=[active.pk]) in page
    assert "home-runs" in page
    assert "every 2s" in page


def test_a_training_that_was_lost_needs_the_operator(client):
    lost = make_training_run(
        state=TrainingRun.State.LOST, finished_at=timezone.now(), message="Its host is gone."
    )
    assert "Its host is gone." in _open(client, "operator").text
    assert reverse("training:training_run", args=[lost.pk]) in _open(client, "admin").text
    assert "Its host is gone." not in _open(client, "lead").text
