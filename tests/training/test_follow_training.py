"""Following a training: started once, re-attached, restarted, stopped, and told how it ended."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from tests.training.following import (
    follow_fake,
    follow_to,
    is_alive,
    lives,
    make_training,
    start_worker,
    starts_of,
    wait_for,
    wait_for_step,
)
from training import launcher
from training.models import Metric, TrainingRun
from training.queries.folders import layout_of
from training.services import follow, lease, prepare, take_host
from training.services.resume import resume_training
from training.services.stop import request_stop

pytestmark = pytest.mark.django_db(transaction=True)
State = TrainingRun.State
CURVE = [8 / step for step in range(1, 9)]


@pytest.fixture(autouse=True)
def _quick(monkeypatch) -> None:
    monkeypatch.setattr(follow, "STEP_SECONDS", 0.05)
    monkeypatch.setattr(lease, "LEASE", timedelta(seconds=2))


@pytest.fixture
def run(tmp_path, data_dir) -> Iterator[TrainingRun]:
    run = make_training(tmp_path)
    yield run
    launcher.kill(layout_of(run))


def losses(run: TrainingRun) -> list[float]:
    return [metric.values["loss"] for metric in run.metrics.filter(kind=Metric.Kind.TRAIN)]


def pid_of_shim(run: TrainingRun) -> int:
    return int(json.loads(layout_of(run).process.read_text())["pid"])


def test_it_goes_from_queued_to_done_with_every_metric(run) -> None:
    seen: list[follow.Progress] = []
    assert follow_fake(run, on_progress=seen.append) == State.DONE
    run.refresh_from_db()
    assert (run.state, run.message, run.step, run.max_steps) == (State.DONE, "", 8, 8)
    assert run.host == take_host.this_host()
    assert run.lease_token is None
    assert run.started_at < run.finished_at
    assert losses(run) == CURVE
    assert run.result["train_loss"] == 1.0
    assert run.result["validation_loss"] == 0.5
    assert run.result["tokens"] == 800
    assert run.result["model_bytes"] == 1000
    assert run.result["versions"] == {"fake": "1"}
    assert seen[-1] == follow.Progress(State.DONE, 8, 8, 1.0, "")


def test_following_again_changes_nothing(run) -> None:
    follow_fake(run)
    before = TrainingRun.objects.filter(pk=run.pk).values().get()
    assert follow_fake(run) == follow.HELD
    assert TrainingRun.objects.filter(pk=run.pk).values().get() == before
    assert len(starts_of(run)) == 1


def test_a_step_that_is_over_leaves_the_process_to_the_next(run) -> None:
    assert follow_fake(run, 40, 0.05, seconds=0.3) == State.RUNNING
    assert is_alive(run)
    run.refresh_from_db()
    assert run.lease_token is None
    assert follow_fake(run) == State.DONE
    assert len(starts_of(run)) == 1
    run.refresh_from_db()
    assert len(losses(run)) == 40


def test_a_second_follower_is_turned_away_and_a_killed_one_replaced(run, data_dir) -> None:
    worker = start_worker(run, data_dir, 400, 0.1)
    wait_for_step(run, 3)
    assert follow_fake(run) == follow.HELD
    worker.kill()
    worker.communicate()
    assert is_alive(run)
    follow_to(run, 5)
    assert len(starts_of(run)) == 1
    request_stop(training_run_id=run.pk)
    assert follow_fake(run) == State.STOPPED


def test_stop_leaves_a_checkpoint_and_resume_goes_on_from_there(run) -> None:
    follow_to(run, 3, 200, 0.05)
    assert request_stop(training_run_id=run.pk)
    assert not request_stop(training_run_id=run.pk)
    assert follow_fake(run) == State.STOPPED
    run.refresh_from_db()
    assert 0 < run.step < 200
    assert run.message == (
        f"Stopped on request at step {run.step}. "
        f"Resumed, it goes on from its checkpoint of step {run.step}."
    )
    assert resume_training(training_run_id=run.pk)
    assert not resume_training(training_run_id=run.pk)
    assert follow_fake(run, 200, 0.0) == State.DONE
    run.refresh_from_db()
    assert losses(run) == [8 / step for step in range(1, 201)]
    assert run.message == ""


def test_stop_before_the_beginning_starts_nothing(run) -> None:
    assert request_stop(training_run_id=run.pk)
    assert follow_fake(run) == follow.HELD
    assert not layout_of(run).process.exists()
    run.refresh_from_db()
    assert (run.state, run.message) == (State.STOPPED, "Stopped before it began.")


def test_a_trainer_that_is_killed_fails_and_resumes_with_the_same_curve(run) -> None:
    assert follow_fake(run, 8, 0.01, "killed-at-7") == State.FAILED
    run.refresh_from_db()
    assert "killed (signal 9)" in run.message
    assert "checkpoint of step 5" in run.message
    assert resume_training(training_run_id=run.pk)
    assert follow_fake(run, 8, 0.01, "killed-at-7") == State.DONE
    assert losses(run) == CURVE


def test_a_killed_shim_is_noticed_and_started_again_from_the_checkpoint(run) -> None:
    follow_to(run, 6, 200, 0.05)
    os.kill(pid_of_shim(run), signal.SIGKILL)
    wait_for(lambda: not is_alive(run))
    assert follow_fake(run, 200, 0.0) == State.DONE
    run.refresh_from_db()
    first, _second = starts_of(run)
    assert not lives(first)
    assert run.result["restarts"] == 1
    assert losses(run) == [8 / step for step in range(1, 201)]


@pytest.mark.soak
def test_it_is_started_again_twice_at_most(run) -> None:
    follow_to(run, 6, 400, 0.05)
    state = ""
    for _kill in range(3):
        os.kill(pid_of_shim(run), signal.SIGKILL)
        wait_for(lambda: not is_alive(run))
        state = follow_fake(run, 400, 0.05, seconds=0.3)
    assert state == State.FAILED
    run.refresh_from_db()
    assert run.message.startswith("Its process was killed 3 times. Resumed, it goes on from its")
    assert len(starts_of(run)) == 3


def test_without_a_checkpoint_a_killed_process_is_not_begun_anew(run) -> None:
    follow_to(run, 1, 400, 0.5)
    launcher.kill(layout_of(run))
    wait_for(lambda: not is_alive(run))
    assert follow_fake(run) == State.FAILED
    run.refresh_from_db()
    assert run.message == "Its process was killed. It left no checkpoint: resumed, it begins anew."


def test_one_that_ended_with_its_owner_goes_on_but_not_while_its_worker_stops(run) -> None:
    follow_to(run, 3, 200, 0.05)
    os.kill(pid_of_shim(run), signal.SIGTERM)  # has it end as when its owner is gone
    wait_for(lambda: not is_alive(run))
    assert follow_fake(run, is_stopping=lambda: True) == State.RUNNING
    assert len(starts_of(run)) == 1
    assert follow_fake(run, 200, 0.0) == State.DONE
    run.refresh_from_db()
    assert len(starts_of(run)) == 2
    assert run.result["restarts"] == 0


def test_a_failure_says_what_to_do_and_ends_with_the_log(run) -> None:
    assert follow_fake(run, 8, 0.01, "fails-CUDA out of memory") == State.FAILED
    run.refresh_from_db()
    assert "lower batch_size" in run.message
    assert run.message.endswith("CUDA out of memory")


def test_a_full_disk_is_refused_before_the_start(run, monkeypatch) -> None:
    monkeypatch.setattr(prepare, "FREE_BYTES", 10**18)
    assert follow_fake(run) == State.FAILED
    run.refresh_from_db()
    assert run.message.startswith("Too little room for a training: ")
    assert not layout_of(run).process.exists()


def test_a_second_training_waits_visibly_for_the_first(run, tmp_path) -> None:
    follow_to(run, 1, 400, 0.02)
    second = make_training(tmp_path)
    assert follow_fake(second) == follow.WAITING
    second.refresh_from_db()
    assert second.state == State.QUEUED
    assert second.message == f"Waits for training run {run.pk} on {take_host.this_host()}."
    request_stop(training_run_id=run.pk)
    assert follow_fake(run) == State.STOPPED
    assert follow_fake(second) == State.DONE
    second.refresh_from_db()
    assert second.message == ""


def test_a_training_of_another_host_is_not_touched_until_that_is_lost(run) -> None:
    TrainingRun.objects.update(state=State.RUNNING, host="elsewhere", heartbeat_at=timezone.now())
    assert follow_fake(run) == follow.ELSEWHERE
    TrainingRun.objects.update(heartbeat_at=timezone.now() - follow.LOST_AFTER)
    assert follow_fake(run) == State.LOST
    run.refresh_from_db()
    assert "elsewhere has not been heard of for 5 minutes" in run.message
    assert not layout_of(run).process.exists()
    assert resume_training(training_run_id=run.pk)
    assert follow_fake(run) == State.DONE


def test_a_worker_that_lost_its_lease_writes_no_more(run) -> None:
    def steal(_progress: follow.Progress) -> None:
        TrainingRun.objects.update(lease_token="0" * 32)

    assert follow_fake(run, 400, 0.02, on_progress=steal) == follow.HELD
    run.refresh_from_db()
    assert run.state in TrainingRun.ACTIVE


def test_rows_that_are_gone_end_it_with_a_word(run) -> None:
    shutil.rmtree(layout_of(run).folder)
    assert follow_fake(run) == State.FAILED
    run.refresh_from_db()
    assert run.message.startswith("The rows of x.jsonl that it trains on are gone.")
