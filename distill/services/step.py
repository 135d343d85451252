"""One step of a run: hold its lease, keep its window full, and leave it ready for the next step."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta

from django.db import connections
from django.utils import timezone

from distill.engine.window import Arrival, Sending, Turn, run_window
from distill.logic.errors import DistillError, FailureKind, TeacherError
from distill.logic.plans import PLANS
from distill.logic.retry import next_delay
from distill.logic.types import Reply
from distill.models import Run, RunEvent, SampleDraw
from distill.services import ledger, runs
from distill.services.advance import begin, give_up, take_replies
from distill.services.orders import Answered, Job, Order
from distill.teachers.openai_protocol import reread
from distill.teachers.registry import open_teachers

FEED_SECONDS = 600
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
"""So many requests given up in a row, none answered between them: the teacher is not there."""

Pulse = dict[str, object]


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class _Tag:
    order: Order
    bought: ledger.Bought


class LeaseLostError(DistillError):
    """Another worker has taken the run over; this one must write nothing more."""


def run_step(
    run_id: int,
    *,
    feed_seconds: float = FEED_SECONDS,
    offline_url: str | None = None,
    on_pulse: Callable[[Pulse], None] | None = None,
    is_stopping: Callable[[], bool] = _never,
) -> str:
    """Work on a run for at most `feed_seconds`, plus what its requests in flight need.

    `is_stopping` says that the worker itself shall end: the run is left for another one. Returns the state in which the run is left: QUEUED if there is more to do. Returns "held" where
    another worker has it, or it had ended. A failure is written into the run, not raised.
    """
    token = _claim_patiently(run_id)
    if token is None:
        return "held"
    run = Run.objects.select_related("recipe", "dataset").get(id=run_id)
    until = time.monotonic() + feed_seconds
    book = Book(
        run,
        token,
        is_over=lambda: time.monotonic() > until or is_stopping(),
        on_pulse=on_pulse,
    )
    try:
        with ThreadPoolExecutor(1, thread_name_prefix="ledger") as writer:
            try:
                asyncio.run(_work(book, writer, offline_url))
            finally:
                writer.submit(connections.close_all).result()
    except LeaseLostError:
        return "held"
    except DistillError as error:
        book.end(Run.State.FAILED, str(error))
    except Exception as error:
        book.end(Run.State.FAILED, f"Unexpected: {error!r}")
        raise
    state, message = book.outcome()
    book.end(state, message)
    return state


def _claim_patiently(run_id: int) -> uuid.UUID | None:
    """Claim the run; one whose worker has just died becomes free within its lease."""
    until = time.monotonic() + runs.LEASE.total_seconds() + 2
    beats = Run.objects.filter(id=run_id, state__in=Run.ACTIVE).values_list(
        "heartbeat_at", flat=True
    )
    seen = beats.first()
    while (token := runs.claim_run(run_id=run_id)) is None:
        last = beats.first()
        if last is None or last != seen or time.monotonic() > until:
            return None
        time.sleep(0.5)
    return token


async def _work(book: Book, writer: Executor, offline_url: str | None) -> None:
    slots = book.slots
    async with open_teachers(
        slots=slots, offline_url=offline_url, total_timeout=REQUEST_SECONDS
    ) as teacher:
        await run_window(ask=teacher.ask, store=book.turn, slots=slots, writer=writer)


class Book:
    """What the window is handed as `store`: the run's rows on one side, requests on the other.

    Lives in the writer's thread. `ready` and `later` hold orders whose purchase is yet to come;
    requests in flight are known by their keys, so that equal ones are asked once.
    """

    def __init__(
        self,
        run: Run,
        token: uuid.UUID,
        *,
        is_over: Callable[[], bool],
        on_pulse: Callable[[Pulse], None] | None,
    ) -> None:
        content = run.recipe.content
        self.job = Job(run.id, run.dataset_id, run.recipe_id, content, PLANS[run.kind])
        self.slots = content.teacher.slots
        self._run, self._token = run, token
        self._is_over, self._on_pulse = is_over, on_pulse
        self._ready: deque[Order] = deque()
        self._later: list[tuple[float, int, Order]] = []
        self._sequence = itertools.count()
        self._in_flight: set[bytes] = set()
        self._cursor = 0
        self._exhausted = False
        self._draining, self._stop_message = "", ""
        self._next_pulse = 0.0
        self._counts = {"replies": 0, "known": 0, "retries": 0}
        self._last_counted = (time.monotonic(), 0)
        self._given_up_in_a_row = 0

    # --- the turn ---------------------------------------------------------------------------------

    def turn(self, arrivals: list[Arrival[_Tag]], free_slots: int) -> Turn[_Tag]:
        """Commit what arrived, see what follows, and buy as much as there are free slots.

        What arrived was paid for: it is kept even where the pulse finds the lease lost.
        """
        self._keep(arrivals)
        self._pulse()
        runs.populate_run(run=self._run, on_batch=self._pulse)
        self._take(arrivals)
        self._wake()
        sendings = self._fill(free_slots)
        has_more = self._has_work or bool(self._later) or not self._exhausted
        finished = not self._in_flight and (bool(self._draining) or not has_more)
        return Turn(sendings, wake_after=self._until_next(), is_finished=finished)

    def outcome(self) -> tuple[str, str]:
        """In which state, and with which words, the run is left after the window has closed."""
        if self._draining:
            return self._draining, self._stop_message
        return Run.State.DONE, ""

    def end(self, state: str, message: str) -> None:
        if message or state == Run.State.DONE:
            level = RunEvent.Level.ERROR if state == Run.State.FAILED else RunEvent.Level.INFO
            self._log(message or "Done.", level)
        runs.release_run(run_id=self._run.id, token=self._token, state=state, message=message)

    # --- feeding and buying -----------------------------------------------------------------------

    @property
    def _has_work(self) -> bool:
        """Something can be bought now, or further rows may be fetched."""
        may_feed = not self._exhausted and len(self._later) < MOST_WAITING
        return not self._draining and (bool(self._ready) or may_feed)

    def _fill(self, free_slots: int) -> list[Sending[_Tag]]:
        until = time.monotonic() + TURN_SECONDS
        sendings: list[Sending[_Tag]] = []
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
        rows = list(
            SampleDraw.objects.filter(
                run=self._run, state=SampleDraw.State.PENDING, id__gt=self._cursor
            )
            .select_related("sample", "completion", "verdict")
            .order_by("id")[:num_rows]
        )
        if not rows:
            self._exhausted = True
            return
        self._cursor = rows[-1].id
        self._ready.extend(begin(self.job, rows))

    def _buy(self, wanted: int) -> list[Sending[_Tag]]:
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
                sendings.append(Sending(order.wish.request, _Tag(order, answer)))
            elif isinstance(answer, ledger.Known):
                reply = reread(answer.raw, order.wish.request.teacher, answer.latency_ms)
                known.append(Answered(order, answer.call_id, reply))
            elif isinstance(answer, ledger.Busy):
                self._postpone(order, 1.0)
            elif self._in_flight:
                self._postpone(order, 0.2)  # what is in flight may cost less than was reserved
            else:
                self._drain(Run.State.STOPPED, "Out of budget: raise it and resume.")
        self._counts["known"] += len(known)
        if known:
            self._ready.extendleft(reversed(take_replies(self.job, known)))
        return sendings

    # --- settling ---------------------------------------------------------------------------------

    def _keep(self, arrivals: Sequence[Arrival[_Tag]]) -> None:
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

    def _take(self, arrivals: Sequence[Arrival[_Tag]]) -> None:
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
            self._ready.extendleft(reversed(take_replies(self.job, answered)))

    def _handle_failure(self, order: Order, error: TeacherError) -> None:
        """Try again later, or give the sample × draw up; some failures end the run."""
        if error.kind.stops_the_run:
            self._drain(Run.State.FAILED, str(error))
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
        give_up(order, error)
        self._log(f"{order.work.row}: {error.kind}: {error}", RunEvent.Level.WARNING)
        self._given_up_in_a_row += error.kind.is_retryable
        if self._given_up_in_a_row >= HOPELESS_FAILURES:
            self._drain(
                Run.State.FAILED,
                f"{HOPELESS_FAILURES} requests in a row were given up, the last one: {error}",
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

    def _drain(self, state: str, message: str) -> None:
        """Send nothing more; the run is left in `state`. The first cause stands."""
        if not self._draining:
            self._draining, self._stop_message = state, message

    def _pulse(self) -> None:
        """Once a second: renew the lease, tell how things are, see whether to stop."""
        now = time.monotonic()
        if now < self._next_pulse:
            return
        self._next_pulse = now + PULSE_SECONDS
        since, before = self._last_counted
        rate = (self._counts["replies"] - before) / max(now - since, 0.001)
        self._last_counted = (now, self._counts["replies"])
        pulse: Pulse = {
            "in_flight": len(self._in_flight),
            "slots": self.slots,
            "replies_per_s": round(rate, 1),
            "waiting": len(self._later),
            **self._counts,
        }
        state = runs.beat(run_id=self._run.id, token=self._token, pulse=pulse)
        if state is None:
            raise LeaseLostError("Another worker has taken this run over.")
        if state == Run.State.STOPPING:
            self._drain(Run.State.STOPPED, "Stopped on request.")
        elif self._is_over():
            self._drain(Run.State.QUEUED, "")
        if self._on_pulse is not None:
            self._on_pulse(pulse)

    def _log(self, message: str, level: RunEvent.Level = RunEvent.Level.INFO) -> None:
        RunEvent.objects.create(run=self._run, level=level, message=message)
