"""Stopping and resuming from the run's page: by POST, once, and harmless the second time."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django_q.models import OrmQ

from distill.models import Run, SampleDraw
from tests.builders import make_run, make_sample_draw, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(client):
    client.force_login(make_user("operator"))
    return client


def _post(client, run, name):
    return client.post(reverse(f"distill:{name}", args=[run.pk]), follow=True)


def test_a_running_run_is_asked_to_stop(operator):
    run = make_run(state=Run.State.RUNNING)
    assert "is being stopped" in _post(operator, run, "stop_run").text
    run.refresh_from_db()
    assert run.state == Run.State.STOPPING


def test_stopping_twice_changes_nothing(operator):
    run = make_run(state=Run.State.RUNNING)
    _post(operator, run, "stop_run")
    page = _post(operator, run, "stop_run").text
    assert f"Nothing was changed: run {run.pk} is stopping already." in page
    run.refresh_from_db()
    assert run.state == Run.State.STOPPING


def test_a_stopped_run_goes_on_and_is_enqueued_once(operator):
    run = make_run(state=Run.State.STOPPED, is_populated=True)
    make_sample_draw(run, state=SampleDraw.State.PENDING)
    assert "Resume" in operator.get(reverse("distill:run", args=[run.pk])).text
    assert "goes on" in _post(operator, run, "resume_run").text
    assert "Nothing was changed" in _post(operator, run, "resume_run").text
    run.refresh_from_db()
    assert run.state == Run.State.QUEUED
    assert OrmQ.objects.count() == 1


@pytest.mark.parametrize("name", ["stop_run", "resume_run"])
def test_only_by_post_and_only_operators(client, operator, name):
    run = make_run(state=Run.State.RUNNING)
    url = reverse(f"distill:{name}", args=[run.pk])
    assert operator.get(url).status_code == 405
    operator.logout()
    assert operator.post(url).status_code == 302
    client.force_login(make_user("reviewer"))
    assert client.post(url).status_code == 403
    run.refresh_from_db()
    assert run.state == Run.State.RUNNING


def test_an_unknown_run_is_a_404(operator):
    assert operator.post(reverse("distill:stop_run", args=[1])).status_code == 404
    assert operator.post(reverse("distill:resume_run", args=[1])).status_code == 404
