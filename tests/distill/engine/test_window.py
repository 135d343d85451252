"""The window alone: slots are kept full, nothing is stored twice, nothing is left behind."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.engine.window import Arrival, Sending, Turn, run_window
from distill.logic.errors import FailureKind, TeacherError
from distill.logic.types import Message, Reply, Request


def make_request(number: int) -> Request:
    return Request(teacher="test:model", messages=(Message("user", str(number)),))


def make_reply(request: Request) -> Reply:
    return Reply(b"{}", request.messages[0].content, "stop", "model", None, 1)


class Shelf:
    """A `store` that hands out numbers and remembers what came back, and on which thread."""

    def __init__(self, num_requests: int) -> None:
        self.waiting = list(range(num_requests))
        self.arrived: list[int] = []
        self.failed: list[int] = []
        self.most_free = 0

    def __call__(self, arrivals: list[Arrival[int]], free_slots: int) -> Turn[int]:
        for arrival in arrivals:
            good = isinstance(arrival.outcome, Reply)
            (self.arrived if good else self.failed).append(arrival.tag)
        self.most_free = max(self.most_free, free_slots)
        taken, self.waiting = self.waiting[:free_slots], self.waiting[free_slots:]
        sendings = [Sending(make_request(number), number) for number in taken]
        return Turn(sendings, wake_after=1.0, is_finished=not self.waiting)


class Teacher:
    """An `ask` that counts how many requests are in flight at once."""

    def __init__(self, delays: list[float] | None = None, failing: set[int] | None = None) -> None:
        self.in_flight = self.most = 0
        self.delays, self.failing = delays or [0.0], failing or set()

    async def ask(self, request: Request) -> Reply:
        number = int(request.messages[0].content)
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        await asyncio.sleep(self.delays[number % len(self.delays)])
        self.in_flight -= 1
        if number in self.failing:
            raise TeacherError(FailureKind.SERVER, "no")
        return make_reply(request)


def run(teacher: Teacher, shelf: Shelf, slots: int) -> None:
    with ThreadPoolExecutor(1) as writer:
        asyncio.run(run_window(ask=teacher.ask, store=shelf, slots=slots, writer=writer))


@settings(max_examples=30, deadline=None)
@given(
    num_requests=st.integers(0, 40),
    slots=st.integers(1, 12),
    delays=st.lists(st.sampled_from([0.0, 0.001, 0.01]), min_size=1, max_size=4),
    failing=st.sets(st.integers(0, 40)),
)
def test_each_request_is_answered_once_and_slots_are_never_exceeded(
    num_requests: int, slots: int, delays: list[float], failing: set[int]
) -> None:
    teacher, shelf = Teacher(delays, failing), Shelf(num_requests)
    run(teacher, shelf, slots)
    assert sorted(shelf.arrived + shelf.failed) == list(range(num_requests))
    assert set(shelf.failed) == failing & set(range(num_requests))
    assert teacher.most <= slots
    assert teacher.in_flight == 0


def test_a_slow_request_holds_up_no_other() -> None:
    shelf = Shelf(30)
    num_asked = 0
    others_are_through = asyncio.Event()

    async def ask(request: Request) -> Reply:
        nonlocal num_asked
        num_asked += 1
        if num_asked == 30:
            others_are_through.set()
        if request.messages[0].content == "0":
            await others_are_through.wait()
        return make_reply(request)

    with ThreadPoolExecutor(1) as writer:
        asyncio.run(run_window(ask=ask, store=shelf, slots=4, writer=writer))
    assert len(shelf.arrived) == 30
    assert shelf.arrived.index(0) >= 26


def test_all_slots_are_used() -> None:
    teacher, shelf = Teacher([0.02]), Shelf(60)
    run(teacher, shelf, 20)
    assert teacher.most == 20


def test_an_error_of_the_store_ends_the_window_and_cancels_what_is_in_flight() -> None:
    teacher = Teacher([30.0])
    turns = 0

    def store(arrivals: list[Arrival[int]], free_slots: int) -> Turn[int]:
        nonlocal turns
        turns += 1
        if turns == 2:
            raise RuntimeError("the disk is full")
        return Turn([Sending(make_request(1), 1)], wake_after=0.01, is_finished=False)

    with ThreadPoolExecutor(1) as writer, pytest.raises(RuntimeError, match="disk"):
        asyncio.run(run_window(ask=teacher.ask, store=store, slots=3, writer=writer))


def test_an_unexpected_error_of_the_teacher_is_not_swallowed() -> None:
    async def ask(request: Request) -> Reply:
        raise ZeroDivisionError

    with ThreadPoolExecutor(1) as writer, pytest.raises(ZeroDivisionError):
        asyncio.run(run_window(ask=ask, store=Shelf(1), slots=1, writer=writer))
