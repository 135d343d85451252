"""Chunks: a run is written down in parts, each part has one worker, and none is left over."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from distill.models import Chunk, Run, SampleDraw, Shift
from distill.services import populate
from distill.services.chunks import claim_chunk, cut_chunks, finish_chunk, give_back_rest
from distill.services.hand import Hand
from distill.services.orders import make_job
from distill.services.populate import Populator
from distill.services.runs import create_run, resume_run
from distill.services.shifts import begin_shift, end_shift
from tests.builders import make_completion, make_dataset, make_recipe, make_run, make_sample

pytestmark = pytest.mark.django_db(transaction=True)


def ignore() -> None:
    pass


def pending_run(num: int, **fields: Any) -> Run:
    run = make_run(is_populated=True, **fields)
    rows = SampleDraw.objects.bulk_create(
        SampleDraw(run=run, sample=make_sample(run.dataset)) for _ in range(num)
    )
    cut_chunks(run=run, ids=[row.id for row in rows])
    return run


def begin(run: Run) -> Shift:
    shift = begin_shift(run_id=run.id)
    assert shift is not None
    return shift


@given(num=st.integers(1, 3000), workers=st.integers(1, 64))
def test_chunks_hold_every_draw_once_and_leave_something_for_each_worker(
    num: int, workers: int
) -> None:
    cut: list[Chunk] = []

    class Chunks:
        @staticmethod
        def bulk_create(chunks: Iterable[Chunk]) -> None:
            cut.extend(chunks)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Chunk, "objects", Chunks)
        cut_chunks(run=Run(id=1, workers=workers), ids=range(10, 10 + num))
    ids = [one for chunk in cut for one in range(chunk.first_id, chunk.last_id + 1)]
    assert ids == list(range(10, 10 + num))
    assert all(chunk.last_id - chunk.first_id < 500 for chunk in cut)
    assert len(cut) >= min(workers, num // 8)


def test_first_attempts_are_written_down_a_batch_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(populate, "BATCH_ROWS", 4)
    dataset = make_dataset()
    samples = [make_sample(dataset).id for _ in range(5)]
    recipe = make_recipe(teacher={"draws": 2})
    run = create_run(dataset=dataset, recipe=recipe, kind=Run.Kind.GENERATE)
    populator = Populator(run)
    counts = []
    while not populator.is_done:
        assert populator.write_some(on_batch=ignore)
        counts.append(SampleDraw.objects.filter(run=run).count())
    assert counts == [4, 8, 10]
    assert not populator.write_some(on_batch=ignore)
    found = SampleDraw.objects.filter(run=run).values_list("sample", "draw")
    assert list(found) == [(sample, draw) for sample in samples for draw in range(2)]
    run.refresh_from_db()
    assert run.is_populated
    covered = [
        draw.id
        for chunk in Chunk.objects.all()
        for draw in SampleDraw.objects.filter(id__gte=chunk.first_id, id__lte=chunk.last_id)
    ]
    assert sorted(covered) == sorted(SampleDraw.objects.values_list("id", flat=True))


def test_another_worker_goes_on_where_one_left_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(populate, "BATCH_ROWS", 2)
    dataset = make_dataset()
    for _ in range(5):
        make_sample(dataset)
    run = create_run(dataset=dataset, recipe=make_recipe(), kind=Run.Kind.GENERATE, sample_limit=3)
    one, other = Populator(Run.objects.get(id=run.id)), Populator(Run.objects.get(id=run.id))
    one.write_some(on_batch=ignore)
    other.write_some(on_batch=ignore)
    assert other.is_done
    assert one.write_some(on_batch=ignore)
    assert one.is_done
    assert SampleDraw.objects.filter(run=run).count() == 3, "the limit holds over all of them"


def test_while_one_writes_others_go_on_with_something_else() -> None:
    run = make_run(kind=Run.Kind.GATE)
    make_completion(dataset=run.dataset)
    populator = Populator(run)
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            lock = "SELECT pg_advisory_lock(%s, %s)"
            cursor.execute(lock, [populate._LOCK_ROOM, run.id % 2**31])
            assert not populator.write_some(on_batch=ignore)
            assert not populator.is_done
            cursor.execute("SELECT pg_advisory_unlock_all()")
    finally:
        other.close()
    assert populator.write_some(on_batch=ignore)
    assert SampleDraw.objects.filter(run=run).count() == 1


def test_a_chunk_is_one_workers_until_it_is_done() -> None:
    run = pending_run(16)
    one, other = begin(run), begin(run)
    first, second = claim_chunk(shift=one), claim_chunk(shift=other)
    assert first is not None
    assert second is not None
    assert first.id < second.id
    assert claim_chunk(shift=one) is None
    assert finish_chunk(chunk=first)
    assert not finish_chunk(chunk=first)
    end_shift(shift=other)
    again = claim_chunk(shift=one)
    assert again is not None
    assert again.id == second.id


def test_what_is_not_fed_goes_back_and_what_is_fed_stays() -> None:
    run = pending_run(8)
    shift, other = begin(run), begin(run)
    ids = list(SampleDraw.objects.values_list("id", flat=True))
    hand = Hand(shift, make_job(run))
    assert [work.row_id for work in hand.feed(3)] == ids[:3]
    hand.give_back()
    rest = claim_chunk(shift=other)
    assert rest is not None
    assert (rest.first_id, rest.last_id) == (ids[3], ids[7])
    assert Chunk.objects.get(shift=shift).last_id == ids[2]
    assert hand.feed(3) == []
    hand.move(begun=ids[:3], orders=())
    assert hand.take_finished() == 3
    assert not Chunk.objects.filter(shift=shift).exists()


def test_a_chunk_of_which_nothing_is_fed_goes_back_as_it_is() -> None:
    run = pending_run(8)
    chunk = claim_chunk(shift=begin(run))
    assert chunk is not None
    give_back_rest(chunk=chunk, after_id=chunk.first_id - 1)
    stored = Chunk.objects.get()
    assert (stored.shift_id, stored.first_id, stored.last_id) == (
        None,
        chunk.first_id,
        chunk.last_id,
    )


def test_what_is_taken_up_again_opens_its_chunk_alone() -> None:
    run = pending_run(16, state=Run.State.DONE)
    SampleDraw.objects.update(state="answered")
    failed = SampleDraw.objects.all()[10]
    SampleDraw.objects.filter(id=failed.id).update(state="failed", failure_kind="server")
    Chunk.objects.update(is_done=True)
    assert resume_run(run_id=run.id)
    opened = Chunk.objects.get(is_done=False)
    assert opened.first_id <= failed.id <= opened.last_id


def test_runs_from_before_get_their_chunks() -> None:
    run = pending_run(3)
    SampleDraw.objects.filter(id=SampleDraw.objects.all()[0].id).update(state="answered")
    ended = pending_run(2)
    SampleDraw.objects.filter(run=ended).update(state="failed")
    Chunk.objects.all().delete()
    migration = importlib.import_module("distill.migrations.0008_shifts")
    for _ in range(2):
        with connection.cursor() as cursor:
            cursor.execute(migration.CUT_CHUNKS)
    ids = list(SampleDraw.objects.filter(run=run).values_list("id", flat=True))
    chunk = Chunk.objects.get(run=run)
    assert (chunk.first_id, chunk.last_id, chunk.is_done) == (ids[0], ids[-1], False)
    assert Chunk.objects.get(run=ended).is_done
