"""A resumed run begins each sample × draw where it began before, and ends as if nothing had been."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from django.utils import timezone

from distill.engine.pool import Report, Turn
from distill.logic.errors import FailureKind, InputError, TeacherError
from distill.logic.types import Reply, Request, Teacher
from distill.models import (
    Completion,
    CompletionState,
    Dataset,
    Purchase,
    Run,
    SampleDraw,
    Shift,
)
from distill.models import Reply as ReplyRow
from distill.services import book, step
from distill.services.runs import continue_run, create_run, request_stop, resume_run
from distill.services.shifts import begin_shift
from distill.services.step import run_step
from distill.teachers.offline import offline_teacher
from distill.teachers.registry import open_teachers
from tests.builders import make_dataset, make_recipe, make_sample
from tests.distill.test_run_step import counts_of, demo_dataset

pytestmark = pytest.mark.django_db(transaction=True)

JUDGED = "offline:rubric"
PRICED = {"name": "openai:gpt-4o", "price": {"input_per_million": 2.5, "output_per_million": 10}}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with offline_teacher(0) as base_url:
        yield base_url


class Through:
    """A teacher that hands requests on to the real one."""

    def __init__(self, teacher: Teacher) -> None:
        self._teacher = teacher

    async def ask(self, request: Request) -> Reply:
        return await self._teacher.ask(request)


def run_with(
    monkeypatch: pytest.MonkeyPatch, run: Run, url: str, made: Callable[[Teacher], Teacher]
) -> str:
    """Take a step of the run with another teacher before the real one."""

    @asynccontextmanager
    async def opened(**options: Any) -> AsyncIterator[Teacher]:
        async with open_teachers(**options) as teacher:
            yield made(teacher)

    with monkeypatch.context() as patched:
        patched.setattr(step, "open_teachers", opened)
        return run_step(run.id, offline_url=url)


def is_for_judge(request: Request) -> bool:
    return request.teacher == JUDGED


def is_second_attempt(request: Request) -> bool:
    return "<rejected_answer>" in request.messages[-1].content and not is_for_judge(request)


def run_failing(
    monkeypatch: pytest.MonkeyPatch, run: Run, url: str, fails: Callable[[Request], bool]
) -> str:
    """Take a step of the run with a teacher that answers 500 to the requests that `fails` picks."""

    class Failing(Through):
        async def ask(self, request: Request) -> Reply:
            if fails(request):
                raise TeacherError(FailureKind.SERVER, "out of order", status=500)
            return await super().ask(request)

    return run_with(monkeypatch, run, url, Failing)


def attempts_of(dataset: Dataset) -> list[tuple[int, int, str]]:
    """Every attempt by the line of its sample, in an order that no id decides."""
    found = Completion.objects.filter(sample__dataset=dataset).order_by("sample", "attempt")
    return [(one.sample.line, one.attempt, one.text) for one in found.select_related("sample")]


@pytest.mark.parametrize("fails", [is_for_judge, is_second_attempt])
def test_what_failed_on_its_way_is_taken_up_from_its_first_attempt(
    monkeypatch: pytest.MonkeyPatch, url: str, fails: Callable[[Request], bool]
) -> None:
    recipe = make_recipe(retry={"max_attempts": 1})
    dataset = demo_dataset(24)
    run = create_run(dataset=dataset, recipe=recipe, kind=Run.Kind.PIPELINE)
    assert run_failing(monkeypatch, run, url, fails) == Run.State.DONE
    assert counts_of(run)["failed"]
    assert resume_run(run_id=run.id)
    assert run_step(run.id, offline_url=url) == Run.State.DONE
    resumed = counts_of(run), attempts_of(dataset)

    again = create_run(dataset=dataset, recipe=recipe, kind=Run.Kind.PIPELINE)
    run_step(again.id, offline_url=url)
    assert resumed == (counts_of(again), attempts_of(dataset)), "as a run without a failure ends"
    for later in Completion.objects.filter(attempt__gt=1).select_related("parent__state_row"):
        assert later.parent is not None
        assert later.text != later.parent.text, "the first answer came back as a second attempt"
        assert later.parent.state_row.state == CompletionState.State.REJECTED


def test_a_regeneration_is_taken_up_from_what_was_rejected(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    dataset = demo_dataset(40)
    recipe = make_recipe(retry={"max_attempts": 1}, regeneration={"max_attempts": 2})
    first = create_run(dataset=dataset, recipe=recipe, kind=Run.Kind.GENERATE)
    gate = create_run(dataset=dataset, recipe=recipe, kind=Run.Kind.GATE)
    regenerate = create_run(dataset=dataset, recipe=recipe, kind=Run.Kind.REGENERATE)
    for run in (first, gate):
        run_step(run.id, offline_url=url)
    run_failing(monkeypatch, regenerate, url, is_for_judge)
    assert counts_of(regenerate)["failed"]
    asked = Completion.objects.filter(attempt=2).count()
    resume_run(run_id=regenerate.id)
    assert run_step(regenerate.id, offline_url=url) == Run.State.DONE
    assert not Completion.objects.filter(attempt=3).exists()
    assert Completion.objects.filter(attempt=2).count() == asked


def test_a_call_without_a_budget_keeps_the_one_that_was_given() -> None:
    dataset, recipe = make_dataset(), make_recipe(teacher=PRICED)
    run = create_run(dataset=dataset, recipe=recipe, kind=Run.Kind.GENERATE, budget_nano=5)
    same = continue_run(
        dataset=dataset,
        recipe=recipe,
        kind=Run.Kind.GENERATE,
        sample_limit=None,
        budget_nano=None,
        fresh=False,
    )
    assert (same.id, same.budget_nano) == (run.id, 5)


def test_a_run_that_goes_on_gets_no_budget_that_cannot_be_kept() -> None:
    dataset, recipe = make_dataset(), make_recipe(teacher={"name": "openai:unheard-of"})
    create_run(dataset=dataset, recipe=recipe, kind=Run.Kind.GENERATE, sample_limit=3)
    with pytest.raises(InputError, match="needs the price of openai:unheard-of"):
        continue_run(
            dataset=dataset,
            recipe=recipe,
            kind=Run.Kind.GENERATE,
            sample_limit=3,
            budget_nano=5,
            fresh=False,
        )


def test_a_run_that_asks_no_judge_needs_no_limit_for_one() -> None:
    recipe = make_recipe(judges=[{"teacher": "openai:gpt-4o"}])
    for kind in (Run.Kind.GENERATE, Run.Kind.FILTER):
        create_run(dataset=make_dataset(), recipe=recipe, kind=kind)
    for kind in (Run.Kind.JUDGE, Run.Kind.GATE):
        with pytest.raises(InputError, match="costs money"):
            create_run(dataset=make_dataset(), recipe=recipe, kind=kind)


def test_a_shift_makes_a_queued_run_run_in_the_same_moment() -> None:
    run = create_run(dataset=make_dataset(), recipe=make_recipe(), kind=Run.Kind.FILTER)
    assert begin_shift(run_id=run.id)
    run.refresh_from_db()
    assert (run.state, run.started_at is not None) == (Run.State.RUNNING, True)
    assert request_stop(run_id=run.id)
    run.refresh_from_db()
    assert run.state == Run.State.STOPPING


def test_nobody_waits_for_a_run_that_was_stopped_before_it_began(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = create_run(dataset=make_dataset(), recipe=make_recipe(), kind=Run.Kind.FILTER)
    request_stop(run_id=run.id)
    monkeypatch.setattr("time.sleep", lambda _seconds: pytest.fail("it has ended"))
    assert run_step(run.id) == "held"


def test_replies_of_a_worker_that_has_lost_its_run_are_kept(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setattr(book, "BEAT_SECONDS", 0)
    dataset = make_dataset()
    make_sample(dataset)
    run = create_run(dataset=dataset, recipe=make_recipe(), kind=Run.Kind.GENERATE)

    turn = book.Book.turn

    def lose_first(self: book.Book, report: Report[Any]) -> Turn[Any]:
        if report.arrivals:
            Shift.objects.filter(run=run).update(ended_at=timezone.now())
        return turn(self, report)

    monkeypatch.setattr(book.Book, "turn", lose_first)
    assert run_step(run.id, offline_url=url) == "held"
    assert SampleDraw.objects.get().state == SampleDraw.State.PENDING
    assert Purchase.objects.filter(reply__outcome="accepted").count() == 1


def test_judges_that_answer_in_another_order_lead_to_the_same_next_attempt(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    nonsense = b'{"choices":[{"message":{"content":"fine"},"finish_reason":"stop"}]}'
    slow = {"F": 0.3, "G": 0.0}

    class Judges(Through):
        async def ask(self, request: Request) -> Reply:
            if request.teacher != JUDGED:
                return await super().ask(request)
            is_first = request.parameters["max_tokens"] == 512
            await asyncio.sleep(slow["F" if is_first else "G"])
            return Reply(nonsense, "fine", "stop", "rubric", None, 1)

    two = [{"name": "F"}, {"name": "G", "max_tokens": 600}]
    dataset, recipe = demo_dataset(3), make_recipe(judges=two)
    for _run in range(2):
        run = create_run(dataset=dataset, recipe=recipe, kind=Run.Kind.PIPELINE)
        assert run_with(monkeypatch, run, url, Judges) == Run.State.DONE
        slow["F"], slow["G"] = 0.0, 0.3
    assert not Purchase.objects.filter(run=run).exists()


def test_a_worker_whose_run_is_taken_over_within_a_turn_writes_nothing_more(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    dataset = demo_dataset(3)
    run = create_run(dataset=dataset, recipe=make_recipe(), kind=Run.Kind.GENERATE)

    monkeypatch.setattr(book, "take_replies", lambda *_: pytest.fail("it is another's"))
    monkeypatch.setattr(book, "BEAT_SECONDS", 60)
    keep = book.Book._keep

    def lose_after(self: book.Book, arrivals: list[Any]) -> None:
        keep(self, arrivals)
        if arrivals:
            Shift.objects.filter(run=run).update(ended_at=timezone.now())

    monkeypatch.setattr(book.Book, "_keep", lose_after)
    assert run_step(run.id, offline_url=url) == "held"
    assert ReplyRow.objects.filter(outcome="accepted").exists()
    assert not Completion.objects.exists()
