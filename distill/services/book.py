"""The book of a step: the run's rows on one side, requests on the other."""

from __future__ import annotations

import heapq
import itertools
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta

from django.utils import timezone

from distill.engine.window import Arrival, Sending, Turn
from distill.logic.errors import FailureKind, TeacherError
from distill.logic.plans import PLANS
from distill.logic.pulse import Pulse, write_pulse
from distill.logic.reading import Reading
from distill.logic.retry import next_delay
from distill.logic.types import Reply
from distill.models import Run, RunEvent, Shift
from distill.services import ledger, shifts
from distill.services.advance import begin, give_up, take_replies
from distill.services.hand import Hand
from distill.services.orders import Answered, Job, Order
from distill.services.populate import Populator
from distill.services.runs import TAKEN_OVER, LeaseLostError
from distill.services.shifts import Standing
from distill.teachers.openai_protocol import reread

REQUEST_SECONDS = 180.0
PULSE_SECONDS = 1.0
EXAMINED_ROWS = 1000
"""Completions that are examined at once: rules work on columns."""
TURN_SECONDS = 0.5
"""So long at most are rows fetched and answered from the ledger before what has arrived is stored,
and what was bought is sent."""
MOST_WAITING = 2000
"""So many orders may wait for their next try; while there are more, no further rows are fetched."""
HOPELESS_FAILURES = 25
"""So many requests given up in a row, none answered between them: the teacher is not there, or
knows no such model."""

_OF_THE_SAMPLE = (FailureKind.REFUSED, FailureKind.CONTEXT_TOO_LONG)


@dataclass(frozen=True, slots=True)
class Tag:
    """What comes back with a reply: the order, and the purchase that it was sent for."""

    order: Order
    bought: ledger.Bought


class Book:
    """What the window is handed as `store`: the run's rows on one side, requests on the other.

    Lives in the writer's thread. `ready` and `later` hold orders whose purchase is yet to come;
    requests in flight are known by their keys, so that equal ones are asked once.
    """

    def __init__(
        self,
        run: Run,
        shift: Shift,
        *,
        is_over: Callable[[], bool],
        on_pulse: Callable[[Pulse], None] | None,
        on_hand_over: Callable[[], None] | None,
    ) -> None:
        content = run.recipe.content
        self.job = Job(run.id, run.dataset_id, run.recipe_id, content, PLANS[run.kind])
        self.slots = content.teacher.slots
        self._run, self._shift = run, shift
        self._populator = Populator(run)
        self._hand = Hand(shift)
        self._is_over, self._on_pulse = is_over, on_pulse
        self._ready: deque[Order] = deque()
        self._later: list[tuple[float, int, Order]] = []
        self._sequence = itertools.count()
        self._in_flight: set[bytes] = set()
        self._standing: Standing | None = None
        self._draining, self._stop_message = False, ""
        self._on_hand_over = on_hand_over
        self._next_pulse = 0.0
        self._counts = {"replies": 0, "known": 0, "retries": 0}
        self._last_counted = (time.monotonic(), 0)
        self._given_up_in_a_row = 0

    # --- the turn ---------------------------------------------------------------------------------

    def turn(self, arrivals: list[Arrival[Tag]], free_slots: int) -> Turn[Tag]:
        """Commit what arrived, see what follows, and buy as much as there are free slots.

        What arrived was paid for: it is kept even where the pulse finds the lease lost.
        """
        self._keep(arrivals)
        self._pulse()
        if not self._draining:
            self._populator.write_some(on_batch=self._pulse)
        self._hand.look_again()
        self._take(arrivals)
        self._wake()
        sendings = self._fill(free_slots)
        has_more = self._has_work or bool(self._later) or self._may_get_more
        finished = not self._in_flight and (self._draining or not has_more)
        return Turn(sendings, wake_after=self._until_next(), is_finished=finished)

    @property
    def stop_message(self) -> str:
        """Why nobody can go on with the run, where it was this worker that found out."""
        return self._stop_message

    # --- feeding and buying -----------------------------------------------------------------------

    @property
    def _has_work(self) -> bool:
        """Something can be bought now, or further rows may be fetched."""
        may_feed = not self._hand.is_exhausted and len(self._later) < MOST_WAITING
        return not self._draining and (bool(self._ready) or may_feed)

    @property
    def _may_get_more(self) -> bool:
        """Somebody is still writing sample × draws down, or a silent worker may have died."""
        is_any_quiet = self._standing is not None and self._standing.is_any_quiet
        return not self._populator.is_done or is_any_quiet

    def _fill(self, free_slots: int) -> list[Sending[Tag]]:
        until = time.monotonic() + TURN_SECONDS
        sendings: list[Sending[Tag]] = []
        while self._has_work and len(sendings) < free_slots and time.monotonic() < until:
            wanted = free_slots - len(sendings)
            if len(self._ready) < wanted and len(self._later) < MOST_WAITING:
                self._feed(wanted)
            sendings += self._buy(wanted)
            self._pulse()
        return sendings

    def _feed(self, wanted: int) -> None:
        """Fetch the next rows; larger batches of them where no model is asked for a completion."""
        num_rows = max(wanted, 64) if self.job.plan.asks else EXAMINED_ROWS
        rows = self._hand.feed(num_rows)
        if rows:
            with self._holding():
                orders = begin(self.job, rows)
            self._hand.move(begun=[row.id for row in rows], orders=orders)
            self._ready.extend(orders)

    def _buy(self, wanted: int) -> list[Sending[Tag]]:
        """Buy from the ready orders; known replies are taken at once, at no cost."""
        batch: dict[bytes, Order] = {}
        while self._ready and len(batch) < wanted:
            order = self._ready.popleft()
            key = order.wish.key
            if key in batch or key in self._in_flight:
                self._postpone(order, 0.2)
            else:
                batch[key] = order
        if not batch:
            return []
        with self._holding():
            answers = ledger.buy(
                run_id=self._run.id,
                wishes=[order.wish for order in batch.values()],
                now=timezone.now(),
                deadline=timedelta(seconds=REQUEST_SECONDS + 20),
            )
        sendings, known = [], []
        for key, order in batch.items():
            answer = answers[key]
            if isinstance(answer, ledger.Bought):
                self._in_flight.add(key)
                sendings.append(Sending(order.wish.request, Tag(order, answer)))
            elif isinstance(answer, ledger.Known):
                reply = reread(answer.raw, order.wish.request.teacher, answer.latency_ms)
                known.append(Answered(order, answer.call_id, reply))
            elif isinstance(answer, ledger.Busy):
                self._postpone(order, 1.0)
            elif self._in_flight:
                self._postpone(order, 0.2)  # what is in flight may cost less than was reserved
            else:
                self._drain("Out of budget: raise it and resume.")
        self._counts["known"] += len(known)
        self._follow(known)
        return sendings

    # --- settling ---------------------------------------------------------------------------------

    def _keep(self, arrivals: Sequence[Arrival[Tag]]) -> None:
        if not arrivals:
            return
        ledger.settle(
            run_id=self._run.id,
            deliveries=[
                ledger.Delivery(
                    purchase_id=arrival.tag.bought.purchase_id,
                    call_id=arrival.tag.bought.call_id,
                    wish=arrival.tag.order.wish,
                    outcome=arrival.outcome,
                )
                for arrival in arrivals
            ],
        )

    def _take(self, arrivals: Sequence[Arrival[Tag]]) -> None:
        answered = []
        for arrival in arrivals:
            order = arrival.tag.order
            self._in_flight.discard(order.wish.key)
            if isinstance(arrival.outcome, Reply):
                answered.append(Answered(order, arrival.tag.bought.call_id, arrival.outcome))
            else:
                self._handle_failure(order, arrival.outcome)
        if answered:
            self._counts["replies"] += len(answered)
            self._given_up_in_a_row = 0
        self._follow(answered)

    def _follow(self, answered: list[Answered]) -> None:
        """Let the replies' orders go before those of fresh rows."""
        if answered:
            with self._holding():
                orders = take_replies(self.job, answered)
            self._hand.move(ended=[answer.order for answer in answered], orders=orders)
            self._ready.extendleft(reversed(orders))

    def _holding(self) -> AbstractContextManager[None]:
        return shifts.holding(self._shift)

    def _handle_failure(self, order: Order, error: TeacherError) -> None:
        """Try again later, or give the sample × draw up; some failures end the run."""
        if error.kind.stops_the_run:
            self._fail(str(error))
            return
        limited = error.kind is FailureKind.RATE_LIMITED
        order = replace(
            order,
            failures=order.failures + (not limited),
            rate_limits=order.rate_limits + limited,
        )
        delay = next_delay(
            self.job.recipe.retry,
            kind=error.kind,
            failures=order.rate_limits if limited else order.failures,
            retry_after=error.retry_after,
            jitter=random.random(),
            waited_seconds=order.waited_seconds,
        )
        if delay is not None:
            self._counts["retries"] += 1
            waited = order.waited_seconds + (delay if limited else 0)
            self._postpone(replace(order, waited_seconds=waited), delay)
            return
        with self._holding():
            give_up(order, error)
        self._hand.move(ended=[order], orders=())
        self._log(f"{order.work.row}: {error.kind}: {error}", RunEvent.Level.WARNING)
        self._given_up_in_a_row += error.kind not in _OF_THE_SAMPLE
        if self._given_up_in_a_row >= HOPELESS_FAILURES:
            self._fail(
                f"{HOPELESS_FAILURES} requests in a row were given up, the last one: {error}"
            )

    # --- waiting, stopping, telling ---------------------------------------------------------------

    def _postpone(self, order: Order, seconds: float) -> None:
        due = time.monotonic() + seconds
        heapq.heappush(self._later, (due, next(self._sequence), order))

    def _wake(self) -> None:
        while self._later and self._later[0][0] <= time.monotonic():
            self._ready.append(heapq.heappop(self._later)[2])

    def _until_next(self) -> float:
        due = self._next_pulse
        if self._later and not self._draining:
            due = min(due, self._later[0][0])
        if self._has_work and len(self._in_flight) < self.slots:
            due = 0.0
        return max(0.01, due - time.monotonic())

    def _drain(self, message: str = "") -> None:
        """Send nothing more. `message` says why the run cannot go on; the first cause stands."""
        if not self._draining:
            self._draining, self._stop_message = True, message

    def _fail(self, message: str) -> None:
        """Let all workers stop."""
        shifts.fail_run(shift=self._shift, message=message)
        self._drain()

    def _hand_over(self) -> None:
        """Feed no more: the rest is for a successor, which need not wait for what is in flight."""
        self._hand.give_back()
        if not self._draining and self._on_hand_over is not None:
            self._on_hand_over()
        self._drain()

    def _pulse(self) -> None:
        """Once a second: renew the lease, tell how things are, see whether to stop."""
        now = time.monotonic()
        if now < self._next_pulse:
            return
        self._next_pulse = now + PULSE_SECONDS
        pulse = Pulse(
            reading=Reading(slots=self.slots, in_flight=len(self._in_flight)),
            finished=self._hand.num_finished,
            waiting=len(self._later),
        )
        self._hand.num_finished = 0
        shifts.end_dead_shifts(run_id=self._run.id)
        self._standing = shifts.beat(shift=self._shift, pulse=write_pulse(pulse))
        if self._standing is None:
            raise LeaseLostError(TAKEN_OVER)
        if self._standing.state == Run.State.STOPPING:
            self._drain()
        elif self._is_over():
            self._hand_over()
        if self._on_pulse is not None:
            self._on_pulse(pulse)

    def _log(self, message: str, level: RunEvent.Level = RunEvent.Level.INFO) -> None:
        RunEvent.objects.create(run=self._run, level=level, message=message)
