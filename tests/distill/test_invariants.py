"""Invariants 2, 3, 4 and 6 of the design under attack: real runs, real threads, raw SQL."""

from __future__ import annotations

import importlib
import random
import shutil
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import DatabaseError, connection, transaction
from django_q.models import OrmQ, Schedule

from distill import tasks
from distill.models import (
    Dataset,
    Decision,
    Export,
    ExportedCompletion,
    Label,
    Purchase,
    Reply,
    Run,
    Sample,
    SampleDraw,
    SourceFile,
)
from distill.queries.waterfall import balance
from distill.services.decide import record_decision
from distill.services.export import export_dataset
from distill.services.ingest import create_dataset, open_source_file, save_upload, upload_path
from distill.services.ingest.preview import choose_mapping
from distill.services.runs import create_run, request_stop, resume_run
from distill.services.step import run_step
from distill.services.undo import undo_decision
from distill.teachers.offline import offline_teacher
from tests.builders import (
    make_completion,
    make_label,
    make_recipe,
    make_run,
    make_sample_draw,
    make_user,
)
from tests.distill.test_run_step import PASSAGES, demo_dataset

pytestmark = pytest.mark.django_db(transaction=True)

INSERT_ONLY: tuple[str, ...] = importlib.import_module(
    "distill.migrations.0002_insert_only"
).INSERT_ONLY
NUM_SAMPLES = 16
TIMES = 3
PRICE = {"input_per_million": 1.0, "output_per_million": 2.0}


@pytest.fixture(scope="module")
def moody_url() -> Iterator[str]:
    """A slow teacher that misbehaves."""
    with offline_teacher(
        0, faults="moderate,retry_after=0.2,slow_seconds=1", latency="0.03"
    ) as base_url:
        yield base_url


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with offline_teacher(0, latency="0.02") as base_url:
        yield base_url


def at_once(function: Callable[[], object]) -> list[object]:
    """Call it in so many threads at the same moment; what each returned or raised."""
    barrier, results = threading.Barrier(TIMES), list[object]()

    def call() -> None:
        try:
            barrier.wait(10)
            results.append(function())
        except Exception as error:  # noqa: BLE001 - the caller looks at it
            results.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=call) for _ in range(TIMES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


class Watched:
    """A step in a thread of its own, so that the test can look in while it works."""

    def __init__(self, run: Run, url: str) -> None:
        self.states: list[str] = []
        self._run_id = run.pk
        self._thread = threading.Thread(target=self._work, args=(run.pk, url))

    def __enter__(self) -> Watched:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self.states and sys.exc_info()[0] is not None:
            request_stop(run_id=self._run_id)
        self._thread.join(60)

    def _work(self, run_id: int, url: str) -> None:
        try:
            self.states.append(run_step(run_id, offline_url=url))
        finally:
            connection.close()

    @property
    def is_working(self) -> bool:
        return self._thread.is_alive()


# --- invariant 3 ---


def test_nothing_disappears_at_any_moment_of_a_run_that_is_stopped_again_and_again(
    moody_url: str,
) -> None:
    dice = random.Random(3)
    recipe = make_recipe(
        teacher={"draws": 2, "slots": 8}, retry={"max_attempts": 2, "base_seconds": 0.2}
    )
    dataset = demo_dataset(NUM_SAMPLES)
    run = create_run(dataset=dataset, recipe=recipe, kind=Run.Kind.PIPELINE)
    num_looks = num_stops = 0
    state = ""
    while state != Run.State.DONE:
        stop_at = time.monotonic() + dice.uniform(0.1, 1.2)
        with Watched(run, moody_url) as step:
            while step.is_working:
                _account_for(run)
                num_looks += 1
                if time.monotonic() > stop_at and num_stops < 2:
                    num_stops += request_stop(run_id=run.pk)
                time.sleep(0.02)
        state = step.states[0]
        _account_for(run)
        assert state == Run.State.DONE or resume_run(run_id=run.pk)
    assert num_looks > 20
    assert num_stops >= 1
    sums = balance(run)
    assert (sums.total, sums.accounted, sums.pending) == (2 * NUM_SAMPLES, 2 * NUM_SAMPLES, 0)


def _account_for(run: Run) -> None:
    is_populated = Run.objects.get(pk=run.pk).is_populated
    sums = balance(run)
    assert sums.accounted == sums.total
    assert sums.total == 2 * NUM_SAMPLES or not is_populated


# --- invariant 2 ---


def test_a_run_never_spends_more_than_its_budget_and_says_why_it_stopped(url: str) -> None:
    recipe = make_recipe(
        teacher={"price": PRICE, "slots": 4, "max_tokens": 400},
        judges=[{"price": PRICE, "max_tokens": 300}],
    )
    budget = 12_000_000
    run = create_run(
        dataset=demo_dataset(30), recipe=recipe, kind=Run.Kind.PIPELINE, budget_nano=budget
    )
    assert _work_watching_the_money(run, url) == Run.State.STOPPED
    run.refresh_from_db()
    assert "Out of budget: raise it and resume." in run.message
    assert run.events.filter(message=run.message).exists()
    assert 0 < run.spent_nano <= budget
    assert run.reserved_nano == 0
    assert balance(run).pending > 0
    _the_ledger_says_the_same(run)

    Run.objects.filter(pk=run.pk).update(budget_nano=100 * budget)
    assert resume_run(run_id=run.pk)
    assert _work_watching_the_money(run, url) == Run.State.DONE
    run.refresh_from_db()
    assert budget < run.spent_nano <= 100 * budget
    assert run.reserved_nano == balance(run).pending == 0
    _the_ledger_says_the_same(run)


def _work_watching_the_money(run: Run, url: str) -> str:
    with Watched(run, url) as step:
        while step.is_working:
            now = Run.objects.get(pk=run.pk)
            assert now.budget_nano is not None
            assert 0 <= now.spent_nano + now.reserved_nano <= now.budget_nano
            time.sleep(0.01)
    return step.states[0]


def _the_ledger_says_the_same(run: Run) -> None:
    replies = Reply.objects.filter(purchase__run=run).values_list("cost_nano", flat=True)
    assert run.spent_nano == sum(cost or 0 for cost in replies)
    assert not Purchase.objects.filter(run=run, reply=None).exists()


# --- invariant 4 ---


@pytest.fixture
def filled(url: str) -> Run:
    """A run that left something in every insert-only table."""
    run = create_run(dataset=demo_dataset(6), recipe=make_recipe(), kind=Run.Kind.PIPELINE)
    run_step(run.id, offline_url=url)
    passed = SampleDraw.objects.filter(run=run, state="passed").first()
    assert passed is not None
    assert passed.completion is not None
    make_label(passed.completion)
    export_dataset(dataset=run.dataset, policy="reviewed")
    return run


def test_the_database_itself_refuses_to_change_what_is_immutable(filled: Run) -> None:
    for table in (*INSERT_ONLY, "pricelist", "runreading"):
        for change in ("id = id", "id = id + 1000000"):
            with (
                pytest.raises(DatabaseError, match="insert-only"),
                transaction.atomic(),
                connection.cursor() as cursor,
            ):
                cursor.execute(f"UPDATE distill_{table} SET {change}")  # noqa: S608


def test_bulk_writes_do_not_get_around_it(filled: Run) -> None:
    sample = Sample.objects.first()
    assert sample is not None
    text = sample.text
    sample.text = "changed"
    for change in (
        sample.save,
        lambda: Sample.objects.filter(pk=sample.pk).update(text="changed"),
        lambda: Sample.objects.bulk_update([sample], ["text"]),
        lambda: Sample.objects.bulk_create(
            [sample], update_conflicts=True, unique_fields=["id"], update_fields=["text"]
        ),
    ):
        with pytest.raises(DatabaseError, match="insert-only"), transaction.atomic():
            change()
    assert Sample.objects.get(pk=sample.pk).text == text


# --- invariant 6: tasks ---


def test_a_step_that_is_delivered_three_times_at_once_works_once(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "distill.tasks.run_step", lambda run_id, **_: run_step(run_id, offline_url=url)
    )
    run = create_run(dataset=demo_dataset(8), recipe=make_recipe(), kind=Run.Kind.PIPELINE)
    results = at_once(lambda: tasks.run_run(run.pk))
    assert results == [None] * 3
    run.refresh_from_db()
    assert run.state == Run.State.DONE
    bought = Purchase.objects.count()
    assert (
        Reply.objects.filter(outcome="accepted").count()
        == Purchase.objects.values("call").distinct().count()
    )
    assert run.events.filter(message="Done.").count() == 1
    tasks.run_run(run.pk)
    assert Purchase.objects.count() == bought
    assert OrmQ.objects.count() == 0


def test_an_export_that_is_delivered_three_times_is_written_once(data_dir: Path) -> None:
    run = make_run()
    draw = make_sample_draw(run, outcome="accepted")
    results = at_once(lambda: tasks.run_export(run.dataset_id, Export.Policy.REVIEWED))
    assert results == [None] * 3
    tasks.run_export(run.dataset_id, Export.Policy.REVIEWED)
    assert [export.version for export in Export.objects.all()] == [1]
    assert list(ExportedCompletion.objects.values_list("completion", flat=True)) == [
        draw.completion_id
    ]
    home = data_dir / "processed/distillation/exports" / run.dataset.name
    assert [path.name for path in home.iterdir()] == ["v1"], "no draft is left"


def test_an_import_that_is_delivered_three_times_imports_once() -> None:
    dataset = create_dataset(name="thrice")
    upload = save_upload(chunks=[PASSAGES.read_bytes()], name="passages.jsonl")
    path = upload_path(upload)
    source_file = open_source_file(
        dataset=dataset,
        path=path,
        name="passages.jsonl",
        mapping=choose_mapping(path, "passages.jsonl"),
    )
    results = at_once(lambda: tasks.run_import(source_file.pk, upload))
    assert results == [None] * 3
    tasks.run_import(source_file.pk, upload)
    source_file.refresh_from_db()
    assert source_file.state == SourceFile.State.DONE
    assert Sample.objects.filter(dataset=dataset).count() == source_file.rows_kept >= 120
    assert not path.exists()


def test_a_deletion_that_is_delivered_three_times_deletes_once() -> None:
    run = make_run(state=Run.State.DONE)
    make_sample_draw(run, outcome="accepted")
    kept = make_completion()
    results = at_once(lambda: tasks.run_delete_dataset(run.dataset_id))
    assert results == [None] * 3
    tasks.run_delete_dataset(run.dataset_id)
    assert list(Dataset.objects.all()) == [kept.sample.dataset]
    assert not Run.objects.exists()


def test_the_reaper_and_its_schedule_may_be_set_twice() -> None:
    run = make_run()
    tasks.schedule_minutely(tasks.enqueue_stale_runs)
    tasks.schedule_minutely(tasks.enqueue_stale_runs)
    assert Schedule.objects.filter(name="enqueue stale runs").count() == 1
    tasks.enqueue_stale_runs()
    tasks.enqueue_stale_runs()
    assert Run.objects.get(pk=run.pk).state == Run.State.QUEUED
    assert OrmQ.objects.count() == 2, "a second delivery is harmless: the lease decides"


# --- invariant 6: services that move a state ---


def test_of_three_who_stop_or_resume_at_once_one_does() -> None:
    run = make_run(state=Run.State.RUNNING)
    assert sorted(map(str, at_once(lambda: request_stop(run_id=run.pk)))) == [
        "False",
        "False",
        "True",
    ]
    Run.objects.filter(pk=run.pk).update(state=Run.State.STOPPED)
    assert sorted(map(str, at_once(lambda: resume_run(run_id=run.pk)))) == [
        "False",
        "False",
        "True",
    ]
    assert run.events.filter(message="Resumed.").count() == 1


def test_a_decision_and_its_undo_sent_three_times_are_stored_once() -> None:
    completion, reviewer, sent = make_completion(), make_user("reviewer"), uuid.uuid4()
    decided = at_once(
        lambda: record_decision(
            completion_id=completion.pk, reviewer=reviewer, kind="accept", client_id=sent
        )
    )
    assert len({decision.pk for decision in decided if isinstance(decision, Decision)}) == 1
    first = Decision.objects.get()
    assert Label.objects.get().outcome == "accepted"
    undone = at_once(
        lambda: undo_decision(decision_id=first.pk, reviewer=reviewer, client_id=uuid.uuid4())
    )
    assert len({undo.pk for undo in undone if isinstance(undo, Decision)}) == 1
    assert Decision.objects.count() == 2
    assert not Label.objects.exists()


def test_an_export_whose_folder_was_removed_is_restored_not_made_anew(data_dir: Path) -> None:
    run = make_run()
    make_sample_draw(run, outcome="accepted")
    export = export_dataset(dataset=run.dataset, policy="reviewed")
    shutil.rmtree(data_dir / export.folder)
    results = at_once(lambda: export_dataset(dataset=run.dataset, policy="reviewed").pk)
    assert results == [export.pk] * 3
    assert (data_dir / export.folder / "manifest.json").is_file()
