"""The pool alone, in a loop whose clock jumps: no thread, no socket, no second of waiting."""

from __future__ import annotations

import asyncio
from collections import Counter, deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.engine.pool import UNSENT, Report, Sending, Turn, run_pool
from distill.logic.errors import FailureKind, TeacherError
from distill.logic.throttle import Throttle
from distill.logic.types import Message, Reply, Request, Usage
from tests.distill.engine.virtual_time import VirtualWriter, run_virtually

ONE, TWO = "test:one", "test:two"


def now():
    return asyncio.get_running_loop().time()


def make_request(number, teacher=ONE):
    return Request(teacher=teacher, messages=(Message("user", str(number)),))


def make_reply(latency_ms=1):
    return Reply(b"{}", "text", "stop", "model", Usage(10, 20), latency_ms)


class StuckThrottle(Throttle):
    """Says that it has room, and lets nothing go."""

    def admit(self, now, *, input_tokens, output_tokens):
        return 60.0


class Shelf:
    """A `store` that sells numbers as far as there is room, and what came back unsent once more."""

    def __init__(self, *teachers: str) -> None:
        self.waiting: dict[str, deque[int]] = {}
        for number, teacher in enumerate(teachers):
            self.waiting.setdefault(teacher, deque()).append(number)
        self.sold: Counter[int] = Counter()
        self.unsent: Counter[int] = Counter()
        self.arrived: list[int] = []
        self.failed: list[int] = []
        self.out: dict[int, str] = {}
        self.reports: list[Report[int]] = []

    def __call__(self, report: Report[int]) -> Turn[int]:
        self.reports.append(report)
        for arrival in report.arrivals:
            self._take(arrival)
        return Turn(self._sell(report.room), wake_after=1.0, is_finished=not self.has_more)

    @property
    def has_more(self):
        return any(self.waiting.values())

    def _take(self, arrival):
        teacher = self.out.pop(arrival.tag)
        if arrival.outcome is UNSENT:
            self.unsent[arrival.tag] += 1
            self.waiting[teacher].append(arrival.tag)
        else:
            (self.arrived if isinstance(arrival.outcome, Reply) else self.failed).append(
                arrival.tag
            )

    def _sell(self, room):
        sendings: list[Sending[int]] = []
        for teacher, numbers in self.waiting.items():
            for _ in range(min(room.of(teacher), room.total - len(sendings), len(numbers))):
                number = numbers.popleft()
                self.out[number] = teacher
                self.sold[number] += 1
                sendings.append(Sending(make_request(number, teacher), number))
        return sendings


class Teacher:
    """An `ask` that notes what was sent, and how many are in flight at once."""

    def __init__(self, seconds=(1.0,), failing=frozenset(), kind=FailureKind.SERVER):
        self.in_flight = self.most = 0
        self.sent = []
        self.seconds, self.failing, self.kind = seconds, failing, kind

    async def ask(self, request):
        number = int(request.messages[0].content)
        self.sent.append(number)
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            await asyncio.sleep(self.seconds[number % len(self.seconds)])
        finally:
            self.in_flight -= 1
        if number in self.failing:
            raise TeacherError(self.kind, "no")
        return make_reply()


def run(ask, store, *, slots, throttles=None, turn_seconds=(0.02,)):
    """Run the pool; the virtual seconds that it took."""
    durations = iter(())

    def duration():
        nonlocal durations
        try:
            return next(durations)
        except StopIteration:
            durations = iter(turn_seconds)
            return next(durations)

    def throttle_for(name):
        return (throttles or {}).get(name, Throttle)(ceiling=slots, now=now())

    async def main():
        await run_pool(
            ask=ask,
            store=store,
            slots=slots,
            throttle_for=throttle_for,
            writer=VirtualWriter(duration),
            clock=asyncio.get_running_loop().time,
        )
        return now()

    return run_virtually(main())


@settings(max_examples=60, deadline=None)
@given(
    teachers=st.lists(st.sampled_from([ONE, TWO]), max_size=60),
    slots=st.integers(1, 12),
    seconds=st.lists(st.sampled_from([0.0, 0.01, 0.3, 2.0, 9.0]), min_size=1, max_size=4),
    turn_seconds=st.lists(st.sampled_from([0.0, 0.01, 0.1, 7.0]), min_size=1, max_size=3),
    failing=st.sets(st.integers(0, 60)),
    kind=st.sampled_from([FailureKind.SERVER, FailureKind.RATE_LIMITED, FailureKind.EMPTY]),
)
def test_each_sending_leaves_once_or_comes_back_unsent_once(
    teachers, slots, seconds, turn_seconds, failing, kind
):
    teacher, shelf = Teacher(seconds, failing, kind), Shelf(*teachers)
    run(teacher.ask, shelf, slots=slots, turn_seconds=turn_seconds)
    numbers = set(range(len(teachers)))
    assert sorted(shelf.arrived + shelf.failed) == sorted(teacher.sent) == sorted(numbers)
    assert set(shelf.failed) == failing & numbers
    assert all(shelf.sold[number] == 1 + shelf.unsent[number] for number in numbers)
    assert teacher.most <= slots
    assert teacher.in_flight == 0
    assert not shelf.out


@settings(max_examples=30, deadline=None)
@given(slots=st.integers(1, 6), num=st.integers(0, 40))
def test_requests_leave_in_the_order_in_which_they_were_bought(slots, num):
    teacher, shelf = Teacher((0.5, 0.1, 0.3)), Shelf(*[ONE] * num)
    run(teacher.ask, shelf, slots=slots)
    assert teacher.sent == list(range(num))


def test_a_slow_request_holds_up_no_other():
    teacher, shelf = Teacher((500.0, *[0.1] * 999)), Shelf(*[ONE] * 400)
    assert run(teacher.ask, shelf, slots=4) < 501
    assert shelf.arrived[-1] == 0


def test_a_stuck_lane_holds_up_no_other_and_its_sendings_come_back():
    teacher, shelf = Teacher((0.1,)), Shelf(TWO, *[ONE] * 200, *[TWO] * 20)
    done: list[int] = []

    def store(report):
        turn = shelf(report)
        done[:] = [number for number in shelf.arrived if 1 <= number <= 200]
        if len(done) == 200 and shelf.unsent:
            return Turn([], 1.0, is_finished=True, drain=True)
        return turn

    took = run(teacher.ask, store, slots=4, throttles={TWO: StuckThrottle})
    assert len(done) == 200
    assert took < 12
    assert not set(teacher.sent) - set(done)
    assert all(shelf.sold[number] == times for number, times in shelf.unsent.items())


def test_slots_stay_full_while_the_writer_takes_long():
    teacher, shelf = Teacher((1.0,)), Shelf(*[ONE] * 2000)
    took = run(teacher.ask, shelf, slots=20, turn_seconds=(0.4,))
    busy = sum(report.reading.busy_seconds for report in shelf.reports)
    assert busy == pytest.approx(2000)
    assert took < 2000 / 20 * 1.05


def test_hardly_anything_is_bought_ahead_at_rest_and_enough_under_load():
    def most_out(slots, seconds, num):
        shelf = Shelf(*[ONE] * num)
        teacher = Teacher((seconds,))
        most = 0

        def store(report):
            nonlocal most
            turn = shelf(report)
            if shelf.has_more:
                most = max(most, len(shelf.out) - teacher.in_flight)
            return turn

        run(teacher.ask, store, slots=slots, turn_seconds=(0.1,))
        return most

    assert most_out(slots=4, seconds=30.0, num=40) <= 4
    assert 24 <= most_out(slots=100, seconds=1.0, num=2000) <= 100


def test_a_circuit_that_opens_sends_back_what_is_ready_and_probes_until_it_closes():
    shelf = Shelf(*[ONE] * 60)
    failed, probes = set(), []

    async def ask(request):
        await asyncio.sleep(0.05)
        if now() < 20:
            raise TeacherError(FailureKind.CONNECTION, "nobody there")
        return make_reply()

    def store(report):
        for arrival in report.arrivals:
            if isinstance(arrival.outcome, TeacherError):
                failed.add(arrival.tag)
                shelf.waiting[ONE].append(arrival.tag)
            probes.extend([arrival.tag] * arrival.is_probe)
        return shelf(report)

    took = run(ask, store, slots=8)
    assert set(shelf.arrived) == set(range(60))
    assert 5 < len(probes) < 20
    assert 20 < took < 26


def test_requests_of_a_fast_failing_provider_are_not_hammered():
    shelf = Shelf(*[ONE] * 50)
    num_sent = 0

    async def ask(request):
        nonlocal num_sent
        num_sent += 1
        await asyncio.sleep(0.001)
        raise TeacherError(FailureKind.RATE_LIMITED, "later", retry_after=1)

    def store(report):
        for arrival in report.arrivals:
            if arrival.outcome is not UNSENT:
                shelf.waiting[ONE].append(arrival.tag)
        turn = shelf(report)
        over = now() > 60
        return Turn([] if over else turn.sendings, 1.0, is_finished=over, drain=over)

    run(ask, store, slots=50)
    assert num_sent < 500
    assert len(shelf.reports) < 60 * 25


def test_draining_sends_nothing_more_and_stores_all_that_comes():
    teacher, shelf = Teacher((3.0,)), Shelf(*[ONE] * 200)

    def store(report):
        turn = shelf(report)
        if now() < 10:
            return turn
        if report.room.total:
            at_drain.extend(teacher.sent)
        return Turn(turn.sendings, 1.0, is_finished=not shelf.out, drain=True)

    at_drain: list[int] = []
    took = run(teacher.ask, store, slots=10)
    assert teacher.sent == at_drain
    assert sorted(shelf.arrived) == sorted(teacher.sent)
    assert sum(shelf.unsent.values()) > 0
    assert not shelf.out
    assert 10 <= took <= 14


def test_slots_grow_and_shrink_between_turns():
    teacher, shelf = Teacher((1.0,)), Shelf(*[ONE] * 400)
    seen = {}

    def store(report):
        turn = shelf(report)
        slots = 4 if now() < 10 else 16 if now() < 20 else 2
        seen[int(now())] = report.reading.in_flight
        return Turn(turn.sendings, 1.0, is_finished=turn.is_finished, slots=slots, workers=2)

    run(teacher.ask, store, slots=4)
    assert (seen[9], seen[19], seen[25]) == (4, 16, 2)
    assert len(shelf.arrived) == 400


def test_an_error_of_the_store_ends_the_pool_and_cancels_what_is_in_flight():
    teacher, shelf = Teacher((30.0,)), Shelf(*[ONE] * 10)

    def store(report):
        if now() > 3:
            raise RuntimeError("the disk is full")
        return shelf(report)

    with pytest.raises(RuntimeError, match="disk"):
        run(teacher.ask, store, slots=3)
    assert teacher.in_flight == 0


def test_after_an_unexpected_error_of_the_teacher_what_has_arrived_is_stored():
    shelf = Shelf(*[ONE] * 10)

    async def ask(request):
        number = int(request.messages[0].content)
        await asyncio.sleep(1.0 if number < 3 else 1.001)
        if number == 3:
            raise ZeroDivisionError
        return make_reply()

    with pytest.raises(ZeroDivisionError):
        run(ask, shelf, slots=4)
    assert set(shelf.arrived) >= {0, 1, 2}
    assert shelf.reports[-1].room.total == 0


def test_a_cancelled_slot_ends_the_pool():
    async def ask(request):
        raise asyncio.CancelledError

    with pytest.raises(RuntimeError, match="cancelled"):
        run(ask, Shelf(ONE), slots=1)


def test_cancelling_the_pool_cancels_what_is_in_flight():
    teacher, shelf = Teacher((30.0,)), Shelf(*[ONE] * 10)

    async def main():
        task = asyncio.create_task(
            run_pool(
                ask=teacher.ask,
                store=shelf,
                slots=3,
                throttle_for=lambda name: Throttle(ceiling=3, now=now()),
                writer=VirtualWriter(lambda: 0.01),
                clock=asyncio.get_running_loop().time,
            )
        )
        await asyncio.sleep(5)
        assert teacher.in_flight == 3
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_virtually(main())
    assert teacher.in_flight == 0


def test_arrivals_are_gathered_for_a_moment_and_no_longer():
    teacher, shelf = Teacher((0.5, 0.51, 0.52, 0.53)), Shelf(*[ONE] * 4)
    run(teacher.ask, shelf, slots=8)
    assert [len(report.arrivals) for report in shelf.reports if report.arrivals] == [4]


def test_throttles_know_the_slots_and_the_workers_of_the_moment():
    made = []

    class Noted(Throttle):
        def share(self, workers):
            made.append(workers)
            super().share(workers)

    shelf = Shelf(ONE, TWO)

    def store(report):
        turn = shelf(report)
        return Turn(turn.sendings, 1.0, is_finished=turn.is_finished, workers=3)

    run(Teacher((0.1,)).ask, store, slots=2, throttles={ONE: Noted, TWO: Noted})
    assert made == [3, 3]
