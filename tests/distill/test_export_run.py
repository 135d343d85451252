"""The export that a run asks for at its end is found again where its task was lost."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from django_q.models import OrmQ

from distill import tasks
from distill.models import Export, Run
from tests.builders import make_completion, make_recipe, make_run

pytestmark = pytest.mark.django_db


def ended_run(kind: str = Run.Kind.PIPELINE) -> Run:
    recipe = make_recipe(name="straight", export={"policy": "gate"})
    ended = timezone.now() - timedelta(minutes=5)
    return make_run(recipe=recipe, state=Run.State.DONE, finished_at=ended, kind=kind)


def test_an_export_that_was_lost_is_found_again(data_dir: Path) -> None:
    run = ended_run()
    make_completion(dataset=run.dataset)
    for count in (1, 2):
        tasks.enqueue_stale_runs()
        assert OrmQ.objects.count() == count
    tasks.run_export_of_run(run.id)
    tasks.enqueue_stale_runs()
    assert OrmQ.objects.count() == 2
    assert Export.objects.get().dataset == run.dataset


def test_an_export_that_cannot_be_made_is_said_once_and_not_tried_for_ever() -> None:
    run = ended_run()
    for _ in range(2):
        tasks.run_export_of_run(run.id)
    (event,) = run.events.all()
    assert event.level == "error"
    assert event.message.startswith("No export: Nothing of “")
    tasks.enqueue_stale_runs()
    assert OrmQ.objects.count() == 0


def test_only_whole_pipelines_of_today_that_export_what_passed_are_found() -> None:
    ended_run(kind=Run.Kind.GATE)
    Run.objects.filter(id=ended_run().id).update(finished_at=timezone.now() - timedelta(days=2))
    Run.objects.filter(id=ended_run().id).update(finished_at=timezone.now())
    make_run(state=Run.State.DONE, finished_at=timezone.now() - timedelta(minutes=5))
    tasks.enqueue_stale_runs()
    assert OrmQ.objects.count() == 0


def test_a_failed_export_stands_in_the_log_of_the_newest_run() -> None:
    run = make_run()
    tasks.run_export(run.dataset_id, Export.Policy.GOLD)
    assert run.events.get().message.startswith("No export: Nothing of “")
