"""The tasks of the gpu cluster: what they follow, and what they enqueue."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from django_q.models import OrmQ

from tests.training.following import fake_argv, follow_to, make_training
from training import launcher, tasks
from training.models import TrainingRun
from training.queries.folders import layout_of
from training.services import follow

pytestmark = pytest.mark.django_db
State = TrainingRun.State


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(follow, "STEP_SECONDS", 0.05)
    monkeypatch.setattr(follow, "trainer_argv", fake_argv())
    run = make_training(tmp_path)
    yield run
    launcher.kill(layout_of(run))


@pytest.fixture
def enqueued(monkeypatch) -> list[int]:
    """The trainings that were enqueued."""
    found: list[int] = []
    monkeypatch.setattr(tasks, "enqueue_training", found.append)
    return found


def test_a_training_is_put_into_the_gpu_clusters_queue(run) -> None:
    tasks.enqueue_training(run.pk)
    assert OrmQ.objects.get().key == "gpu"
    assert OrmQ.objects.get().func() == "training.tasks.run_training"


def test_a_task_takes_it_to_its_end_and_a_second_one_changes_nothing(run, enqueued) -> None:
    tasks.run_training(run.pk)
    run.refresh_from_db()
    assert run.state == State.DONE
    tasks.run_training(run.pk)
    tasks.run_training(run.pk + 1)
    assert enqueued == []


def test_a_step_that_is_over_enqueues_the_next(run, enqueued, monkeypatch) -> None:
    monkeypatch.setattr(tasks, "STEP_SECONDS", 0)
    tasks.run_training(run.pk)
    assert enqueued == [run.pk]


def test_a_step_that_ends_with_its_worker_enqueues_nothing(run, enqueued, settings) -> None:
    settings.STOP_FILE.parent.mkdir(parents=True)
    settings.STOP_FILE.touch()
    tasks.run_training(run.pk)
    assert enqueued == []
    assert TrainingRun.objects.get().state in TrainingRun.ACTIVE


def test_the_end_of_one_begins_what_waits_for_its_host(run, enqueued, tmp_path) -> None:
    second = make_training(tmp_path)
    follow_to(run, 1, 100, 0.02)
    tasks.run_training(second.pk)
    assert enqueued == []
    second.refresh_from_db()
    assert second.message.startswith(f"Waits for training run {run.pk} on ")
    tasks.run_training(run.pk)
    assert enqueued == [second.pk]


def test_one_whose_process_is_elsewhere_is_passed_on(run, enqueued, monkeypatch) -> None:
    monkeypatch.setattr(tasks, "PASS_ON_SECONDS", 0)
    TrainingRun.objects.update(state=State.RUNNING, host="there", heartbeat_at=timezone.now())
    tasks.run_training(run.pk)
    assert enqueued == [run.pk]


def test_the_watch_enqueues_what_nobody_follows(run, enqueued, tmp_path) -> None:
    held, ended = make_training(tmp_path), make_training(tmp_path)
    silent = TrainingRun.objects.filter(pk=held.pk)
    silent.update(state=State.RUNNING, lease_token="1" * 32, heartbeat_at=timezone.now())
    TrainingRun.objects.filter(pk=ended.pk).update(state=State.FAILED)
    tasks.run_watch_trainings()
    assert enqueued == [run.pk]
    silent.update(heartbeat_at=timezone.now() - timedelta(minutes=1))
    tasks.run_watch_trainings()
    assert enqueued == [run.pk, run.pk, held.pk]
    tasks.enqueue_active_trainings()
    assert enqueued == [run.pk, run.pk, held.pk, run.pk, held.pk]


def test_the_watch_adds_nothing_to_what_waits_for_a_worker(run, enqueued) -> None:
    OrmQ.objects.create(key="gpu", payload="", lock=timezone.now())
    tasks.run_watch_trainings()
    assert enqueued == []
