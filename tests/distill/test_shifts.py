"""Shifts: who works on a run, who ends it, and that a dead one writes nothing more."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from hypothesis import given
from hypothesis import strategies as st

from distill import tasks
from distill.models import Chunk, Run, RunEvent, Shift
from distill.services import shifts
from distill.services.chunks import claim_chunk, cut_chunks, finish_chunk
from distill.services.runs import LeaseLostError, request_stop, resume_run
from distill.services.shifts import (
    Standing,
    beat,
    begin_shift,
    end_dead_shifts,
    end_shift,
    fail_run,
    has_work,
    holding,
    missing_workers,
)
from tests.builders import make_run, make_sample_draw

pytestmark = pytest.mark.django_db(transaction=True)


def run_with_chunks(num: int, **fields: Any) -> Run:
    run = make_run(is_populated=True, **fields)
    for _ in range(num):
        draw = make_sample_draw(run, state="pending")
        cut_chunks(run=run, ids=[draw.id])
    return run


def begin(run: Run) -> Shift:
    shift = begin_shift(run_id=run.id)
    assert shift is not None
    return shift


def silence(shift: Shift) -> None:
    Shift.objects.filter(id=shift.id).update(heartbeat_at=Now() - 2 * shifts.LEASE)


def state_of(run: Run) -> str:
    run.refresh_from_db()
    return run.state


def test_the_first_shift_makes_a_queued_run_run_and_further_ones_join() -> None:
    run = run_with_chunks(1)
    first, second = begin(run), begin(run)
    assert state_of(run) == Run.State.RUNNING
    standing = beat(shift=second, pulse={"seconds": 1.0})
    assert standing == Standing(Run.State.RUNNING, live=2, rank=1, is_any_quiet=False)
    assert Shift.objects.get(id=second.id).pulse == {"seconds": 1.0}
    assert beat(shift=first, pulse={}) == Standing("running", live=2, rank=0, is_any_quiet=False)


def test_nobody_begins_on_a_run_that_has_ended() -> None:
    assert begin_shift(run_id=make_run(state=Run.State.DONE).id) is None
    assert begin_shift(run_id=0) is None
    assert not Shift.objects.exists()


@given(slots=st.integers(1, 5000), live=st.integers(1, 64))
def test_shares_add_up_to_the_slots_where_each_gets_one(slots: int, live: int) -> None:
    shares = [Standing("running", live, rank, False).share_of(slots) for rank in range(live)]
    assert sum(shares) == max(slots, live)
    assert max(shares) - min(shares) <= 1


def test_a_dead_shift_is_ended_once_its_chunks_are_free_and_its_writes_fail() -> None:
    run = run_with_chunks(1)
    zombie, other = begin(run), begin(run)
    chunk = claim_chunk(shift=zombie)
    assert chunk is not None
    assert claim_chunk(shift=other) is None
    assert end_dead_shifts() == 0
    silence(zombie)
    assert end_dead_shifts(run_id=run.id) == 1
    assert end_dead_shifts(run_id=run.id) == 0
    assert RunEvent.objects.get(run=run).level == RunEvent.Level.WARNING

    assert beat(shift=zombie, pulse={}) is None
    with pytest.raises(LeaseLostError), holding(zombie):
        pytest.fail("nothing may be written")
    with pytest.raises(LeaseLostError):
        end_shift(shift=zombie)
    assert not finish_chunk(chunk=chunk)
    taken = claim_chunk(shift=other)
    assert taken is not None
    assert taken.id == chunk.id


def test_a_silent_shift_that_beats_again_before_anybody_looked_stays() -> None:
    run = run_with_chunks(1)
    shift = begin(run)
    silence(shift)
    assert beat(shift=shift, pulse={}) is not None
    assert end_dead_shifts() == 0


def test_a_shift_that_is_not_heard_of_for_a_moment_is_seen_by_the_others() -> None:
    run = run_with_chunks(1)
    quiet, other = begin(run), begin(run)
    Shift.objects.filter(id=quiet.id).update(heartbeat_at=Now() - timedelta(seconds=5))
    standing = beat(shift=other, pulse={})
    assert standing is not None
    assert standing.is_any_quiet


def test_the_last_shift_to_leave_says_that_the_run_is_done() -> None:
    run = run_with_chunks(1)
    first, second = begin(run), begin(run)
    chunk = claim_chunk(shift=first)
    assert chunk is not None
    assert finish_chunk(chunk=chunk)
    assert end_shift(shift=first) == Run.State.RUNNING
    assert end_shift(shift=second) == Run.State.DONE
    assert state_of(run) == Run.State.DONE
    assert [event.message for event in run.events.all()] == ["Done."]
    assert run.finished_at is not None
    assert run.events.get().at <= run.finished_at


def test_what_is_left_to_do_makes_the_run_queued_again() -> None:
    run = run_with_chunks(2)
    shift = begin(run)
    claim_chunk(shift=shift)
    assert end_shift(shift=shift) == Run.State.QUEUED
    assert not Chunk.objects.exclude(shift=None).exists()
    assert not run.events.exists()


def test_a_run_that_is_not_written_down_yet_is_not_done() -> None:
    run = make_run()
    assert end_shift(shift=begin(run)) == Run.State.QUEUED


def test_out_of_budget_is_said_by_the_last_one_alone() -> None:
    run = run_with_chunks(1)
    first, second = begin(run), begin(run)
    assert end_shift(shift=first, message="Out of budget.") == Run.State.RUNNING
    assert end_shift(shift=second, message="Out of budget.") == Run.State.STOPPED
    run.refresh_from_db()
    assert run.message == "Out of budget."


def test_a_stop_is_seen_by_all_and_the_last_one_to_leave_ends_the_run() -> None:
    run = run_with_chunks(1)
    first, second = begin(run), begin(run)
    assert request_stop(run_id=run.id)
    for shift in (first, second):
        standing = beat(shift=shift, pulse={})
        assert standing is not None
        assert standing.state == Run.State.STOPPING
    assert not has_work(run_id=run.id), "nobody joins a run that stops"
    assert end_shift(shift=first) == Run.State.STOPPING
    assert end_shift(shift=second) == Run.State.STOPPED
    run.refresh_from_db()
    assert (run.message, run.ending) == ("Stopped on request.", "")


def test_a_failure_ends_the_run_as_failed_and_the_first_cause_stands() -> None:
    run = run_with_chunks(1)
    first, second = begin(run), begin(run)
    assert fail_run(shift=first, message="The key is refused.")
    assert not fail_run(shift=second, message="Another reason.")
    assert not request_stop(run_id=run.id)
    end_shift(shift=first)
    assert end_shift(shift=second) == Run.State.FAILED
    event = run.events.get()
    assert (event.level, event.message) == ("error", "The key is refused.")
    assert resume_run(run_id=run.id)
    assert state_of(run) == Run.State.QUEUED
    assert (run.message, run.ending) == ("", "")


def test_a_stopping_run_whose_workers_died_is_ended_by_whoever_comes() -> None:
    run = run_with_chunks(1)
    shift = begin(run)
    request_stop(run_id=run.id)
    silence(shift)
    assert missing_workers() == {run.id: 1}
    assert end_shift(shift=begin(run)) == Run.State.STOPPED


def test_a_further_worker_has_work_while_a_chunk_is_free() -> None:
    run = run_with_chunks(1, workers=3)
    assert missing_workers() == {run.id: 3}
    shift = begin(run)
    assert missing_workers() == {run.id: 2}
    claim_chunk(shift=shift)
    assert missing_workers() == {}
    assert not has_work(run_id=run.id)
    silence(shift)
    assert has_work(run_id=run.id)


def test_as_many_steps_are_enqueued_as_workers_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    enqueued: list[int] = []
    monkeypatch.setattr(tasks, "enqueue", lambda _task, run_id: enqueued.append(run_id))
    run = run_with_chunks(1, workers=3)
    tasks.enqueue_run(run.id)
    assert enqueued == [run.id] * 3
    begin(run)
    enqueued.clear()
    tasks.enqueue_stale_runs()
    assert enqueued == [run.id] * 2
    tasks.enqueue_run(0)
