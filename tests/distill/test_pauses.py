"""A teacher that answers nobody pauses the run, visibly; it goes on by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from distill.logic.errors import FailureKind, TeacherError
from distill.logic.pulse import Pulse
from distill.logic.types import Reply, Request, Teacher
from distill.models import Purchase, Run
from distill.models import Reply as ReplyRow
from distill.services import step
from distill.services.runs import create_run, resume_run
from distill.services.step import run_step
from distill.teachers.offline import offline_teacher
from distill.teachers.registry import open_teachers
from tests.builders import make_recipe
from tests.distill.test_run_step import counts_of, demo_dataset

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with offline_teacher(0) as base_url:
        yield base_url


class Moody:
    """A teacher that fails every request in one way for as long as `error` is set."""

    def __init__(self, error: TeacherError | None) -> None:
        self.error = error
        self.teacher: Teacher | None = None

    async def ask(self, request: Request) -> Reply:
        if self.error is not None:
            raise self.error
        assert self.teacher is not None
        return await self.teacher.ask(request)


@pytest.fixture
def moody(monkeypatch: pytest.MonkeyPatch) -> Moody:
    moody = Moody(None)

    @asynccontextmanager
    async def opened(**options: Any) -> AsyncIterator[Moody]:
        async with open_teachers(**options) as teacher:
            moody.teacher = teacher
            yield moody

    monkeypatch.setattr(step, "open_teachers", opened)
    return moody


def said(run: Run) -> list[str]:
    return [event.message for event in run.events.all()]


@pytest.mark.parametrize("kind", [FailureKind.CONNECTION, FailureKind.RATE_LIMITED])
def test_a_teacher_that_is_gone_is_waited_for_at_no_attempt(
    moody: Moody, url: str, kind: FailureKind
) -> None:
    moody.error = TeacherError(kind, "nobody there", is_sent=False)
    recipe = make_recipe(retry={"base_seconds": 0.01, "max_attempts": 2})
    run = create_run(dataset=demo_dataset(30), recipe=recipe, kind=Run.Kind.GENERATE)
    states: list[str] = []

    def mend(pulse: Pulse) -> None:
        states.extend(lane.state for lane in pulse.reading.lanes.values())
        if states.count("open") + states.count("half_open") >= 2:
            moody.error = None

    assert run_step(run.id, offline_url=url, on_pulse=mend) == Run.State.DONE
    assert counts_of(run) == {"answered": 30}
    assert "does not answer" in said(run)[0]
    assert "nobody there" in said(run)[0]
    assert said(run)[-2:] == ["offline:extractive answers again.", "Done."]
    accepted = ReplyRow.objects.filter(outcome=ReplyRow.ACCEPTED)
    assert accepted.count() == accepted.values("call").distinct().count() == 30
    assert Purchase.objects.filter(reply=None).count() == 0


@pytest.mark.parametrize("kind", [FailureKind.AUTHENTICATION, FailureKind.OUT_OF_BUDGET])
def test_a_refused_key_or_an_empty_account_ends_the_run_at_once(
    moody: Moody, url: str, kind: FailureKind
) -> None:
    moody.error = TeacherError(kind, "not with this key")
    run = create_run(dataset=demo_dataset(30), recipe=make_recipe(), kind=Run.Kind.GENERATE)
    assert run_step(run.id, offline_url=url) == Run.State.FAILED
    run.refresh_from_db()
    assert "not with this key" in run.message
    assert "resume" in run.message
    assert said(run) == [run.message]
    assert counts_of(run) == {"pending": 30}, "no sample is to blame"
    moody.error = None
    resume_run(run_id=run.id)
    assert run_step(run.id, offline_url=url) == Run.State.DONE
    assert counts_of(run) == {"answered": 30}


@pytest.mark.parametrize("kind", [FailureKind.SERVER, FailureKind.CONNECTION])
def test_samples_that_the_teacher_can_never_bear_are_given_up(
    moody: Moody, url: str, kind: FailureKind
) -> None:
    """Left alone, they open the circuit and are its probes: that must not go on for ever."""
    moody.error = TeacherError(kind, "poison")
    retry = {"base_seconds": 0.01, "max_attempts": 3, "max_wait_seconds": 1}
    run = create_run(
        dataset=demo_dataset(4), recipe=make_recipe(retry=retry), kind=Run.Kind.GENERATE
    )
    assert run_step(run.id, offline_url=url) == Run.State.DONE
    assert counts_of(run) == {"failed": 4}
    assert Purchase.objects.count() <= 4 * 4
