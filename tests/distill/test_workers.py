"""Several worker processes on one run: each sample answered once, whoever dies on the way."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection, connections
from django.db.models import Count, Sum

from distill.models import Chunk, Completion, Purchase, Reply, Run, SampleDraw, Shift
from distill.services import shifts
from distill.services.measure import remembered_limits
from distill.services.raise_budget import raise_budget
from distill.services.runs import create_run, request_stop, resume_run
from distill.services.step import run_step
from distill.teachers.offline import offline_teacher
from tests.builders import make_recipe
from tests.distill.test_run_killed import start_worker, stats, wait_for_replies
from tests.distill.test_run_step import counts_of, demo_dataset

pytestmark = pytest.mark.django_db(transaction=True)

PRICE = {"input_per_million": 1.0, "output_per_million": 4.0}


@contextmanager
def workers(
    run: Run, url: str, data_dir: Path, num: int
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """So many worker processes on the run; those that are left at the end are killed."""
    processes = [start_worker(run, url, data_dir) for _ in range(num)]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


@contextmanager
def threads(run: Run, url: str, num: int) -> Iterator[list[threading.Thread]]:
    """So many workers as threads of this process, which begin sooner."""
    begun = [threading.Thread(target=_work, args=(run, url)) for _ in range(num)]
    for thread in begun:
        thread.start()
    try:
        yield begun
    finally:
        for thread in begun:
            thread.join(30)


def _work(run: Run, url: str) -> None:
    try:
        run_step(run.id, offline_url=url)
    finally:
        connections.close_all()


def finish(run: Run, url: str) -> str:
    """Work the run off, also what those leave that end in this moment."""
    until = time.monotonic() + 20
    while (state := run_step(run.id, offline_url=url)) in ("held", Run.State.QUEUED):
        run.refresh_from_db()
        if not run.is_active:
            return run.state
        assert time.monotonic() < until
        time.sleep(0.1)
    return state


def assert_each_answered_once(run: Run, num_samples: int) -> None:
    assert SampleDraw.objects.filter(run=run).count() == num_samples
    assert not SampleDraw.objects.filter(run=run, state="pending").exists()
    accepted = Reply.objects.filter(outcome=Reply.ACCEPTED).values("call")
    assert not accepted.annotate(n=Count("id")).filter(n__gt=1).exists()
    once = Completion.objects.values("sample", "attempt").annotate(n=Count("id"))
    assert not once.filter(n__gt=1).exists()
    assert not Chunk.objects.filter(run=run, is_done=False).exists()


def test_two_workers_share_a_run_and_buy_nothing_twice(tmp_path: Path) -> None:
    recipe = make_recipe(teacher={"slots": 8})
    run = create_run(dataset=demo_dataset(80), recipe=recipe, kind=Run.Kind.PIPELINE, workers=2)
    with offline_teacher(0, latency="0.1") as url, workers(run, url, tmp_path, 2) as processes:
        for process in processes:
            assert process.wait(timeout=40) == 0
        assert finish(run, url) == Run.State.DONE
        seen = stats(url)
    assert_each_answered_once(run, 80)
    at_work = Purchase.objects.filter(run=run).values("shift_id").distinct()
    assert at_work.count() == 2, "both had something to do"
    assert not Purchase.objects.filter(reply=None).exists()
    sent = Reply.objects.exclude(outcome=Reply.UNSENT).count()
    assert seen["requests"] == sent == Reply.objects.filter(outcome=Reply.ACCEPTED).count()
    assert [event.message for event in run.events.all()] == ["Done."]
    slots = [shift.pulse["slots"] for shift in Shift.objects.filter(run=run)]
    assert min(slots) <= 4, "they share the slots"


def test_what_a_killed_worker_had_is_taken_over_by_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shifts, "LEASE", timedelta(seconds=2))
    recipe = make_recipe(teacher={"slots": 8})
    run = create_run(dataset=demo_dataset(80), recipe=recipe, kind=Run.Kind.PIPELINE, workers=2)
    with offline_teacher(0, latency="0.15") as url:
        with workers(run, url, tmp_path, 1) as (doomed,):
            wait_for_replies(20)
            with threads(run, url, 1):
                while Purchase.objects.values("shift_id").distinct().count() < 2:
                    time.sleep(0.02)
                doomed.send_signal(signal.SIGKILL)
                doomed.wait()
        assert finish(run, url) == Run.State.DONE
        seen = stats(url)
    assert_each_answered_once(run, 80)
    lost = Purchase.objects.filter(reply=None)
    assert lost.exists()
    dead = Shift.objects.get(pid=doomed.pid)
    assert set(lost.values_list("shift_id", flat=True)) == {dead.id}, "possibly billed"
    replied = Reply.objects.exclude(outcome=Reply.UNSENT).count()
    assert seen["requests"] - replied <= lost.count()
    assert "not heard of any more" in run.events.all()[0].message


def test_a_stop_ends_all_workers_and_resuming_goes_on() -> None:
    recipe = make_recipe(teacher={"slots": 4})
    run = create_run(dataset=demo_dataset(60), recipe=recipe, kind=Run.Kind.GENERATE, workers=2)
    with offline_teacher(0, latency="0.2") as url:
        with threads(run, url, 2):
            wait_for_replies(4)
            assert request_stop(run_id=run.id)
        run.refresh_from_db()
        assert run.state == Run.State.STOPPED
        assert not Shift.objects.filter(run=run, ended_at=None).exists()
        assert not Purchase.objects.filter(reply=None).exists(), "what was in flight was stored"
        assert counts_of(run).get("pending")
        assert resume_run(run_id=run.id)
        assert finish(run, url) == Run.State.DONE
    assert_each_answered_once(run, 60)
    assert [event.message for event in run.events.all()] == [
        "Stopped on request.",
        "Resumed.",
        "Done.",
    ]


def assert_budget_holds(run: Run) -> None:
    """At any moment: never more than the budget, and reserved is what is on its way."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT run.spent_nano, run.reserved_nano, run.budget_nano, coalesce(sum("
            "purchase.bound_nano) FILTER (WHERE reply.id IS NULL), 0) FROM distill_run AS run "
            "LEFT JOIN distill_purchase AS purchase ON purchase.run_id = run.id "
            "LEFT JOIN distill_reply AS reply ON reply.purchase_id = purchase.id "
            "WHERE run.id = %s GROUP BY run.id",
            [run.id],
        )
        spent, reserved, budget, in_flight = cursor.fetchone()
    assert spent + reserved <= budget
    assert reserved == in_flight


def test_two_workers_never_spend_more_than_the_budget_and_a_higher_one_goes_on() -> None:
    recipe = make_recipe(teacher={"slots": 6, "price": PRICE, "max_tokens": 300}, judges=[])
    run = create_run(
        dataset=demo_dataset(60),
        recipe=recipe,
        kind=Run.Kind.GENERATE,
        budget_nano=20_000_000,
        workers=2,
    )
    with offline_teacher(0, latency="0.05") as url:
        with threads(run, url, 2) as at_work:
            while any(thread.is_alive() for thread in at_work):
                assert_budget_holds(run)
                time.sleep(0.05)
        run.refresh_from_db()
        if run.is_active:
            finish(run, url)
        run.refresh_from_db()
        assert (run.state, run.message) == ("stopped", "Out of budget: raise it and resume.")
        assert_budget_holds(run)
        assert run.reserved_nano == 0, "everything in flight is settled"
        costs = Reply.objects.filter(purchase__run=run).aggregate(sum=Sum("cost_nano"))
        assert run.spent_nano == costs["sum"]
        assert counts_of(run)["pending"]

        assert raise_budget(run_id=run.id, budget_nano=1_000_000_000)
        assert resume_run(run_id=run.id)
        assert finish(run, url) == Run.State.DONE
    assert_each_answered_once(run, 60)


def test_replies_outlive_connections_that_the_database_drops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shifts, "LEASE", timedelta(seconds=2))
    recipe = make_recipe(teacher={"slots": 8})
    run = create_run(dataset=demo_dataset(60), recipe=recipe, kind=Run.Kind.GENERATE)
    with offline_teacher(0, latency="0.1") as url:
        for at_least in (10, 30):
            with threads(run, url, 1):
                wait_for_replies(at_least)
                with connection.cursor() as cursor:
                    cursor.execute(
                        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
        assert finish(run, url) == Run.State.DONE
        seen = stats(url)
    assert_each_answered_once(run, 60)
    assert not Purchase.objects.filter(reply=None).exists(), "what had arrived was kept"
    assert seen["requests"] == Reply.objects.filter(outcome=Reply.ACCEPTED).count() == 60


def test_a_worker_that_stops_feeding_hands_over_at_once() -> None:
    recipe = make_recipe(teacher={"slots": 4})
    run = create_run(dataset=demo_dataset(60), recipe=recipe, kind=Run.Kind.GENERATE)
    free: list[bool] = []

    def look() -> None:
        free.append(Chunk.objects.filter(run=run, is_done=False, shift=None).exists())

    with offline_teacher(0, latency="0.3") as url:
        started = time.monotonic()
        state = run_step(
            run.id,
            offline_url=url,
            on_hand_over=look,
            is_stopping=lambda: time.monotonic() - started > 0.5,
        )
        assert state == Run.State.QUEUED
        assert free == [True], "a successor has work before this one has drained"
        assert not Purchase.objects.filter(reply=None).exists()
        assert finish(run, url) == Run.State.DONE
    assert_each_answered_once(run, 60)


def test_readings_are_left_for_the_plots_and_the_next_throttle() -> None:
    run = create_run(dataset=demo_dataset(20), recipe=make_recipe(), kind=Run.Kind.GENERATE)
    with offline_teacher(0) as url:
        assert run_step(run.id, offline_url=url) == Run.State.DONE
    readings = list(run.readings.values_list("reading", flat=True))
    assert sum(reading["finished"] for reading in readings) == 20
    lanes = [lane for reading in readings for lane in reading["lanes"].values()]
    assert sum(lane["replies"] for lane in lanes) == 20
    limits = remembered_limits(["offline:extractive", "never:asked"])
    assert list(limits) == ["offline:extractive"]
    assert limits["offline:extractive"] >= 1
