"""A run beats, stops and stores between its batches, however long they are."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from distill.engine.pool import Report, Room, Turn
from distill.logic.pulse import Pulse
from distill.models import Run, SampleDraw
from distill.services import book, step
from distill.services.advance import take_replies
from distill.services.orders import Answered, Job, Order
from distill.services.runs import create_run, request_stop
from distill.teachers.offline import offline_teacher
from tests.builders import make_completion, make_dataset, make_recipe
from tests.distill.test_run_step import demo_dataset

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_filter_run_stops_between_two_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book, "EXAMINED_ROWS", 5)
    monkeypatch.setattr(book, "BEAT_SECONDS", 0)
    dataset = make_dataset()
    for _ in range(20):
        make_completion(dataset=dataset, state="new")
    run = create_run(dataset=dataset, recipe=make_recipe(), kind=Run.Kind.FILTER)

    def stop(_pulse: Pulse) -> None:
        if 0 < SampleDraw.objects.filter(run=run, state="pending").count() <= 10:
            request_stop(run_id=run.id)

    assert step.run_step(run.id, on_pulse=stop) == Run.State.STOPPED
    assert 0 < SampleDraw.objects.filter(run=run, state="pending").count() <= 10


@pytest.mark.parametrize(("name", "value"), [("TURN_SECONDS", 0.001), ("MOST_WAITING", 1)])
def test_short_turns_and_few_waiting_orders_come_to_the_same_end(
    monkeypatch: pytest.MonkeyPatch, name: str, value: float
) -> None:
    monkeypatch.setattr(book, name, value)
    recipe, dataset = make_recipe(retry={"base_seconds": 0.01}), demo_dataset(30)
    with offline_teacher(0, faults="rate_limited=0.3,retry_after=0.05") as url:
        for _time in range(2):
            run = create_run(dataset=dataset, recipe=recipe, kind=Run.Kind.PIPELINE)
            assert step.run_step(run.id, offline_url=url) == Run.State.DONE
            states = SampleDraw.objects.filter(run=run).values_list("state", flat=True)
            assert len(states) == 30
            assert set(states) <= {"passed", "rejected"}


def test_nothing_bought_waits_for_the_rest_of_what_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is bought must leave at once: after its deadline another run may buy it again."""
    dataset, recipe = demo_dataset(6), make_recipe()
    with offline_teacher(0) as url:
        first = create_run(dataset=dataset, recipe=recipe, kind=Run.Kind.GENERATE, sample_limit=5)
        step.run_step(first.id, offline_url=url)

        def take_slowly(job: Job, answers: Sequence[Answered]) -> list[Order]:
            time.sleep(0.3)
            return take_replies(job, answers)

        monkeypatch.setattr(book, "TURN_SECONDS", 0.1)
        monkeypatch.setattr(book, "take_replies", take_slowly)
        turns: list[Turn[Any]] = []
        turn = book.Book.turn

        def note(self: book.Book, report: Report[Any]) -> Turn[Any]:
            turns.append(turn(self, replace(report, room=Room({}, fresh=2, total=2))))
            return turns[-1]

        monkeypatch.setattr(book.Book, "turn", note)
        second = create_run(dataset=dataset, recipe=recipe, kind=Run.Kind.GENERATE)
        assert step.run_step(second.id, offline_url=url) == Run.State.DONE
    assert len(turns) >= 3, "one turn took all that was known"
