"""The page of one training run: live while it goes on, still when it has ended; stop and resume."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_q.models import OrmQ

from nexa_site.services.bootstrap import create_roles
from tests.builders import make_metrics, make_recipe, make_training_run, make_user
from training.logic.spec import load_spec
from training.models import Evaluation, Metric, TrainingRun
from training.queries.curves import MAX_POINTS, read_curves
from training.queries.folders import layout_of

pytestmark = pytest.mark.django_db
_State = TrainingRun.State


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(make_user("operator"))
    return client


def _url(run: TrainingRun, name: str = "training_run") -> str:
    return reverse(f"training:{name}", args=[run.pk])


def _htmx(client: Client, run: TrainingRun, target: str, **asked: str | int) -> Any:
    headers = {"HX-Request": "true", "HX-Target": target}
    return client.get(_url(run), asked, headers=headers)


def _read(response: Any) -> bytes:
    return b"".join(response.streaming_content)


def _running(**fields: object) -> TrainingRun:
    now = timezone.now()
    defaults: dict[str, object] = {
        "state": _State.RUNNING,
        "started_at": now - timedelta(seconds=20),
        "heartbeat_at": now,
        "max_steps": 100,
        "host": "gpu-1",
    }
    return make_training_run(**(defaults | fields))  # type: ignore[arg-type]


# --- what each state says ---


def test_a_running_one_shows_how_it_is_doing(operator: Client) -> None:
    run = _running(log=b"step 1: loss 9\n", num_steps=20)
    now = timezone.now()
    for metric in Metric.objects.filter(kind="train"):
        at = now - timedelta(seconds=2 * (20 - metric.step))
        Metric.objects.filter(pk=metric.pk).update(at=at)
    page = operator.get(_url(run)).text
    for words in ("<b>20</b> of 100", "about 2 min 40 s left", "1,000", "step 1: loss 9", "gpu-1"):
        assert words in page
    assert page.count('hx-trigger="every 2s"') == 3
    assert _url(run, "stop_training") in page
    assert _url(run, "resume_training") not in page


def test_one_that_nobody_takes_asks_for_a_worker(operator: Client) -> None:
    run = make_training_run()
    assert "No gpu worker" not in operator.get(_url(run)).text
    TrainingRun.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    assert "Is a <code>gpu</code> cluster running?" in operator.get(_url(run)).text


def test_a_silent_watcher_is_said(operator: Client) -> None:
    run = _running(heartbeat_at=timezone.now() - timedelta(minutes=1))
    assert "Nobody has watched it" in operator.get(_url(run)).text


@pytest.mark.parametrize("state", [_State.STOPPED, _State.FAILED, _State.LOST])
def test_an_ended_one_says_why_and_offers_to_go_on(operator: Client, state: str) -> None:
    run = make_training_run(state=state, message="The disk is full: free some space.")
    page = operator.get(_url(run)).text
    assert "The disk is full" in page
    assert _url(run, "resume_training") in page
    assert "every 2s" not in page


def test_a_done_one_shows_its_student_and_how_to_load_it(operator: Client) -> None:
    report = {"kept": 7, "dropped": 2, "too_long": 2, "with_special": 0, "longest": 99}
    run = make_training_run(
        state=_State.DONE,
        num_steps=4,
        result={"num_parameters": 1_234_567, "device": "cpu", "rows": {"train": report}},
    )
    model = layout_of(run).model
    model.mkdir()
    (model / "model.safetensors").write_bytes(b"x" * 2048)
    Evaluation.objects.create(training_run=run, recipe=make_recipe(), sample_limit=5)
    page = operator.get(_url(run)).text
    for words in (
        "model.safetensors",
        "2.0\xa0KB",
        "AutoModelForCausalLM.from_pretrained(folder)",
        "1,234,567",
        "2 left out",
        "2 longer than 1,024 tokens",
        "Numbers",
    ):
        assert words in page


# --- polling ---


def test_parts_are_asked_for_alone_and_only_when_they_are_new(operator: Client) -> None:
    run = _running(log=b"one\n", num_steps=3)
    live = _htmx(operator, run, "training-live")
    assert live.status_code == 200
    assert "<html" not in live.text
    assert "training-log" not in live.text
    assert _htmx(operator, run, "training-plots", seen="3.3.running").status_code == 204
    assert _htmx(operator, run, "training-plots", seen="2.2.running").status_code == 200
    assert _htmx(operator, run, "training-log", seen="4").status_code == 204
    assert "one" in _htmx(operator, run, "training-log", seen="0").text


def test_a_long_training_is_plotted_anew_only_for_a_new_point(operator: Client) -> None:
    run = _running()
    metric = Metric.objects.create(
        training_run=run, kind="train", step=1, values={}, at=timezone.now()
    )
    for step, status in ((1209, 200), (1210, 204), (1214, 204), (1215, 200)):
        Metric.objects.filter(pk=metric.pk).update(step=step)
        answer = _htmx(operator, run, "training-plots", seen="242.0.running")
        assert answer.status_code == status, step


def test_the_last_fragments_stop_the_polling(operator: Client) -> None:
    run = make_training_run(state=_State.DONE, num_steps=3)
    for target in ("training-live", "training-plots", "training-log"):
        answer = _htmx(operator, run, target, seen="3.3.done")
        assert answer.status_code == 286, target
        assert "every 2s" not in answer.text


def test_a_longer_training_asks_no_more_queries(
    operator: Client, django_assert_max_num_queries: Any
) -> None:
    run = _running(num_steps=400)
    with django_assert_max_num_queries(14):
        operator.get(_url(run))


# --- curves ---


def test_many_steps_are_thinned_to_means() -> None:
    run = make_training_run()
    make_metrics(run, 1000)
    curves = read_curves(run)
    assert len(curves.train) <= MAX_POINTS
    assert curves.steps_a_point == 4
    step, loss = curves.train[0]
    assert step == 4
    assert loss == pytest.approx((100 + 50 + 100 / 3 + 25) / 4)
    assert curves.train[-1][0] == 1000
    assert [step for step, _loss in curves.held_out] == [1000]


def test_a_loss_that_is_no_number_leaves_a_gap() -> None:
    run = make_training_run(num_steps=3)
    Metric.objects.filter(step=2).update(values={"loss": None, "note": "loss was nan"})
    assert [step for step, _loss in read_curves(run).train] == [1, 3]


def test_a_spec_of_older_days_is_given_as_it_was(operator: Client) -> None:
    run = make_training_run()
    run.spec |= {"epochs": 0, "an_older_key": 1}
    run.save()
    for address in ("training:download_spec", "api:training_spec"):
        answer = operator.get(reverse(address, args=[run.pk]))
        assert answer.status_code == 200, address
        assert b"an_older_key: 1" in answer.content


# --- stop and resume ---


def test_stop_and_resume_change_something_once(operator: Client) -> None:
    run = make_training_run()
    for state, words in ((_State.STOPPED, "is being stopped"), (_State.STOPPED, "stopped already")):
        page = operator.post(_url(run, "stop_training"), follow=True)
        run.refresh_from_db()
        assert run.state == state
        assert words in page.text
    for words in ("goes on", "queued already"):
        page = operator.post(_url(run, "resume_training"), follow=True)
        run.refresh_from_db()
        assert run.state == _State.QUEUED
        assert words in page.text
    assert OrmQ.objects.count() == 1


def test_a_lead_looks_and_changes_nothing(client: Client) -> None:
    run = _running()
    client.force_login(make_user("lead"))
    assert _url(run, "stop_training") not in client.get(_url(run)).text
    for name in ("stop_training", "resume_training"):
        assert client.post(_url(run, name)).status_code == 403
        assert client.get(_url(run, name)).status_code == 403
    run.refresh_from_db()
    assert run.state == _State.RUNNING


def test_the_admin_stops_and_resumes_too(operator: Client) -> None:
    create_roles()
    run = make_training_run()
    url = reverse("admin:training_trainingrun_changelist")
    for action, state in (("stop", _State.STOPPED), ("resume", _State.QUEUED)):
        operator.post(url, {"action": action, "_selected_action": [run.pk]})
        run.refresh_from_db()
        assert run.state == state
    assert OrmQ.objects.count() == 1
    operator.force_login(make_user("lead"))
    operator.post(url, {"action": "stop", "_selected_action": [run.pk]})
    run.refresh_from_db()
    assert run.state == _State.QUEUED


# --- downloads ---


def test_downloads_hold_everything(operator: Client) -> None:
    run = make_training_run(log=b"all\x1b[0m of it\n", num_steps=2, tags=["a"])
    assert _read(operator.get(_url(run, "download_log"))) == b"all\x1b[0m of it\n"
    lines = _read(operator.get(_url(run, "download_metrics"))).splitlines()
    metrics = [json.loads(line) for line in lines]
    assert [(one["kind"], one["step"]) for one in metrics] == [
        ("train", 1),
        ("train", 2),
        ("validation", 2),
    ]
    assert metrics[0]["loss"] == 100
    spec = load_spec(operator.get(_url(run, "download_spec")).text)
    assert spec.model_dump(mode="json") == run.spec


def test_a_log_on_another_host_is_no_error(operator: Client) -> None:
    run = _running(host="far-away")
    layout_of(run).log.unlink()
    assert "The log is on far-away" in operator.get(_url(run)).text
    assert operator.get(_url(run, "download_log")).status_code == 404


def test_a_long_log_is_shown_from_its_end(operator: Client) -> None:
    run = make_training_run(log=b"begin\n" + b"filler line\n" * 3000 + b"the end\n")
    page = operator.get(_url(run)).text
    assert "the end" in page
    assert "begin\n" not in page
    assert len(page) < 60_000
