"""Tasks may run twice, come late, or find their work gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import timezone
from django_q.models import OrmQ, Schedule

from distill import tasks
from distill.models import Export, Run, SampleDraw, Shift
from distill.services import shifts, step
from distill.services.shifts import begin_shift
from distill.teachers.offline import offline_teacher
from tests.builders import make_completion, make_recipe, make_run
from tests.distill.test_run_step import demo_dataset

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def teacher() -> Iterator[str]:
    with offline_teacher(0) as url:
        yield url


@pytest.fixture
def at_hand(teacher: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFFLINE_BASE_URL", teacher)


def test_a_run_that_has_more_to_do_is_enqueued_again(
    at_hand: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step, "FEED_SECONDS", 0)
    run = make_run(dataset=demo_dataset(3), kind=Run.Kind.GENERATE)
    monkeypatch.setattr(
        tasks, "run_step", lambda run_id, **_: step.run_step(run_id, feed_seconds=-1)
    )
    tasks.run_run(run.id)
    run.refresh_from_db()
    assert run.state == Run.State.QUEUED
    assert OrmQ.objects.count() == 1


def test_a_done_run_enqueues_nothing_the_second_time(at_hand: None) -> None:
    run = make_run(dataset=demo_dataset(3), kind=Run.Kind.GENERATE)
    for _ in range(2):
        tasks.run_run(run.id)
    assert SampleDraw.objects.filter(run=run, state="answered").count() == 3
    assert OrmQ.objects.count() == 0


def test_a_pipeline_that_exports_what_passed_enqueues_its_export(
    at_hand: None, settings: pytest.FixtureRequest, tmp_path: Path
) -> None:
    settings.DATA_DIR = tmp_path  # type: ignore[attr-defined]
    recipe = make_recipe(name="straight", export={"policy": "gate"})
    run = make_run(dataset=demo_dataset(6), recipe=recipe)
    tasks.run_run(run.id)
    assert OrmQ.objects.count() == 1
    for _ in range(2):
        tasks.run_export_of_run(run.id)
    assert Export.objects.count() == 1
    assert [event.message for event in run.events.all()][-2:] == [
        "Done.",
        f"Exported as {run.dataset} v1.",
    ]


def test_an_export_of_nothing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    dataset = make_completion(state="rejected").sample.dataset
    tasks.run_export(dataset.id, Export.Policy.REVIEWED)
    assert f"No export of {dataset}" in caplog.text
    tasks.run_export(0, Export.Policy.REVIEWED)


def test_lost_runs_are_found_again_and_held_ones_left_alone() -> None:
    lost, held = make_run(state=Run.State.RUNNING), make_run(state=Run.State.RUNNING)
    make_run(state=Run.State.DONE)
    for run in (lost, held):
        begin_shift(run_id=run.id)
    silent = timezone.now() - 2 * shifts.LEASE
    Shift.objects.filter(run=lost).update(heartbeat_at=silent)
    tasks.enqueue_stale_runs()
    assert OrmQ.objects.count() == 1
    assert Shift.objects.get(ended_at=None).run == held


def test_the_reaper_is_scheduled_once() -> None:
    for _ in range(2):
        tasks.schedule_minutely(tasks.enqueue_stale_runs)
    assert Schedule.objects.get().func == "distill.tasks.enqueue_stale_runs"
