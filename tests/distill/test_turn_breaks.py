"""A turn that breaks in its middle: what it had bought is sent or booked, and the step ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.models.functions import Now

from distill.logic.pulse import Pulse
from distill.models import Purchase, Run, Shift
from distill.services import book, shifts
from distill.services.runs import create_run
from distill.services.step import run_step
from distill.teachers.offline import offline_teacher
from tests.builders import make_recipe
from tests.distill.test_run_step import counts_of, demo_dataset

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with offline_teacher(0) as base_url:
        yield base_url


def _step_within(seconds: float, run: Run, url: str) -> str:
    """Take a step in a thread of its own, so that one that never ends fails this test alone."""
    states: list[str] = []

    def take_step() -> None:
        states.append(run_step(run.id, offline_url=url))
        connection.close()

    thread = threading.Thread(target=take_step, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "the step never ends"
    return states[0]


@pytest.mark.parametrize("breaks", ["database", "lease"])
def test_what_a_broken_turn_had_bought_is_booked(
    url: str, monkeypatch: pytest.MonkeyPatch, breaks: str
) -> None:
    run = create_run(dataset=demo_dataset(30), recipe=make_recipe(), kind=Run.Kind.GENERATE)
    beat = book.Book.beat
    broken: list[str] = []

    def break_once(self: book.Book) -> None:
        bought = Purchase.objects.filter(run=run).exists()
        if bought and not broken:
            broken.append(breaks)
            if breaks == "database":
                raise OperationalError("server closed the connection unexpectedly")
            Shift.objects.filter(run=run).update(heartbeat_at=Now() - 2 * shifts.LEASE)
            shifts.end_dead_shifts(run_id=run.id)
            self._next_beat = 0.0
        beat(self)

    monkeypatch.setattr(book.Book, "beat", break_once)
    state = _step_within(20, run, url)
    assert state == ("queued" if breaks == "database" else "held")
    assert broken
    assert not Purchase.objects.filter(run=run, reply=None).exists(), "bought, and forgotten"
    while run_step(run.id, offline_url=url) == Run.State.QUEUED:
        pass
    assert counts_of(run) == {"answered": 30}
    run.refresh_from_db()
    assert run.reserved_nano == 0


def test_a_worker_that_slept_does_not_find_itself_dead(url: str) -> None:
    run = create_run(dataset=demo_dataset(4), recipe=make_recipe(), kind=Run.Kind.GENERATE)
    slept: list[int] = []

    def sleep_once(_pulse: Pulse) -> None:
        if not slept:
            slept.append(Shift.objects.update(heartbeat_at=Now() - 2 * shifts.LEASE))

    assert run_step(run.id, offline_url=url, on_pulse=sleep_once) == Run.State.DONE
    assert slept == [1]


def test_a_shift_whose_end_was_committed_when_the_database_went_has_ended(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = create_run(dataset=demo_dataset(4), recipe=make_recipe(), kind=Run.Kind.GENERATE)
    end_shift = shifts.end_shift
    broken: list[str] = []

    def end_and_break(**given: Any) -> str:
        state = end_shift(**given)
        broken.append(state)
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(shifts, "end_shift", end_and_break)
    assert run_step(run.id, offline_url=url) == "held"
    assert broken == [Run.State.DONE]
