"""The book of a shift: the run's rows on one side, requests on the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection
from django.utils import timezone

from distill.engine.pool import Arrival, Report, Sending, Turn
from distill.logic.errors import FailureKind, TeacherError
from distill.logic.prices import usd
from distill.logic.pulse import Pulse, write_pulse
from distill.logic.types import Reply
from distill.models import Run, RunEvent, Shift
from distill.services import ledger, shifts
from distill.services.advance import begin, give_up, take_replies
from distill.services.failures import Failures
from distill.services.hand import Hand
from distill.services.measure import Measure
from distill.services.offer import Offer
from distill.services.orders import Answered, Job, Order, longer_order
from distill.services.patience import GONE, persist
from distill.services.populate import Populator
from distill.services.queue import Queue
from distill.services.runs import TAKEN_OVER, LeaseLostError
from distill.services.shifts import Standing
from distill.teachers.openai_protocol import reread

BEAT_SECONDS = 1.0
REAP_SECONDS = 5.0
EXAMINED_ROWS = 1000
"""Completions that are examined at once: rules work on columns."""
TURN_SECONDS = 0.1
"""So long at most are rows fetched and answered from the ledger before what has arrived is stored,
and what was bought is sent."""
MOST_WAITING = 2000
"""So many orders may be ready or wait; while there are more, no further rows are fetched."""
EXPIRY_MARGIN = timedelta(seconds=30)
"""Longer than a request may take by so much is its purchase counted as in flight."""
_IDLE_SECONDS = 0.2
_BUSY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Tag:
    """What comes back with an outcome: the order, and the purchase that it was sent for."""

    order: Order
    bought: ledger.Bought


class Book:
    """What the pool is handed as `store`. Lives in the writer's thread, with its connection.

    What arrived was paid for, so it is kept whatever else has happened: also where this shift has
    been ended by somebody, or the database was gone for a while.
    """

    def __init__(
        self,
        run: Run,
        shift: Shift,
        job: Job,
        *,
        is_over: Callable[[], bool],
        on_pulse: Callable[[Pulse], None] | None,
        on_hand_over: Callable[[], None] | None,
    ) -> None:
        self._run, self._shift, self._job = run, shift, job
        self._is_over, self._on_pulse, self._on_hand_over = is_over, on_pulse, on_hand_over
        self._populator, self._hand, self._queue = Populator(run), Hand(shift, job), Queue()
        self._measure, self._failures = Measure(shift), Failures(run)
        self._expiry = timedelta(seconds=job.recipe.deadlines.total_seconds) + EXPIRY_MARGIN
        self._fresh_lane = _fresh_lane(job)
        self._standing: Standing | None = None
        self._next_beat = self._next_reaping = 0.0
        self._num_known_in_a_row = 0
        self._is_short_of_budget = self._is_draining = False
        self.stop_message = ""
        """Why nobody can go on with the run, where it was this worker that found out."""
        self.is_lost = False
        """Somebody has ended this shift: it keeps what arrives, and writes nothing more."""

    # --- the turn ---------------------------------------------------------------------------------

    def turn(self, report: Report[Tag]) -> Turn[Tag]:
        """Commit what arrived, see what follows, and buy what there is room for."""
        self._measure.add(report.reading)
        self._keep(report.arrivals)
        offer: Offer[Tag] = Offer(report.room)
        try:
            if not self.is_lost:
                self._go_on(report, offer)
        except LeaseLostError:
            self.is_lost = True
            self._drain()
        except GONE:
            # What was in hand is not certain any more; the ledger knows it when it is begun again.
            # What this turn had bought before goes out with it all the same, and comes back unsent.
            connection.close()
            self._drain()
        return Turn(
            offer.sendings,
            wake_after=self._until_next(offer),
            is_finished=not self._queue.num_in_flight and (self._is_draining or not self._has_more),
            drain=self._is_draining,
            slots=self.slots,
            workers=self._standing.live if self._standing else None,
        )

    @property
    def slots(self) -> int:
        """This worker's part of the run's slots."""
        slots = self._job.recipe.teacher.slots
        return self._standing.share_of(slots) if self._standing else slots

    @property
    def workers(self) -> int:
        """How many workers share the run, this one included."""
        return self._standing.live if self._standing else 1

    def beat(self) -> None:
        """Once a second: renew the lease, tell how things are, see whether to stop.

        Raises LeaseLostError where somebody has ended this shift.
        """
        now = time.monotonic()
        if now < self._next_beat:
            return
        # Late, all workers may have slept, this one too: each beats before anybody is found dead.
        is_late = now > self._next_beat + REAP_SECONDS
        self._next_beat = now + BEAT_SECONDS
        if is_late:
            self._next_reaping = now + REAP_SECONDS
        pulse = self._take_pulse()
        self._standing = shifts.beat(shift=self._shift, pulse=write_pulse(pulse))
        if self._standing is None:
            raise LeaseLostError(TAKEN_OVER)
        if now >= self._next_reaping:
            self._next_reaping = now + REAP_SECONDS
            shifts.end_dead_shifts(run_id=self._run.id)
        if self._standing.state == Run.State.STOPPING:
            self._drain()
        elif self._is_over() and not self._is_draining:
            self._hand_over()
        if self._on_pulse is not None:
            self._on_pulse(pulse)

    def _take_pulse(self) -> Pulse:
        return self._measure.take(
            finished=self._hand.take_finished(),
            waiting=self._queue.num_later,
            busy=self._queue.num_busy,
            is_short_of_budget=self._is_short_of_budget,
        )

    def _keep(self, arrivals: Sequence[Arrival[Tag]]) -> None:
        """Commit what arrived; a database that is started again meanwhile is waited for."""
        deliveries = [
            ledger.Delivery(
                purchase_id=arrival.tag.bought.purchase_id,
                call_id=arrival.tag.bought.call_id,
                wish=arrival.tag.order.wish,
                outcome=arrival.outcome,
            )
            for arrival in arrivals
        ]
        for arrival in arrivals:
            self._queue.came_back(arrival.tag.order)
        if not deliveries:
            return
        over = persist(lambda: ledger.settle(run_id=self._run.id, deliveries=deliveries))
        if over:
            said = (
                f"Replies cost {usd(over)} more than their upper bounds: the teacher billed more."
            )
            persist(lambda: self._log(said, RunEvent.Level.WARNING))

    def _go_on(self, report: Report[Tag], offer: Offer[Tag]) -> None:
        self.beat()
        if not self._is_draining:
            self._populator.write_some(on_batch=self.beat)
        self._hand.look_again()
        self._take(report.arrivals)
        self._failures.watch(report.reading)
        self._queue.wake(time.monotonic())
        self._fill(offer)

    @property
    def _has_more(self) -> bool:
        """Something is to be bought, now or later; or somebody writes further sample × draws down,
        or a worker that is silent may have died."""
        queue = self._queue
        is_any_quiet = self._standing is not None and self._standing.is_any_quiet
        in_hand = queue.num_ready or queue.num_later or not self._hand.is_exhausted
        return bool(in_hand) or not self._populator.is_done or is_any_quiet

    def _until_next(self, offer: Offer[Tag]) -> float:
        """Seconds until the next turn at the latest; 0 where this one had not enough time."""
        if self._is_draining:
            return _IDLE_SECONDS
        if self._can_sell(offer):
            return 0.0
        now = time.monotonic()
        seconds = max(0.0, self._next_beat - now)
        if self._queue.next_due is not None:
            seconds = min(seconds, max(0.01, self._queue.next_due - now))
        if not self._populator.is_done or (self._hand.is_exhausted and self._has_more):
            seconds = min(seconds, _IDLE_SECONDS)
        return seconds

    def close(self) -> None:
        """Store what was measured last. Raises LeaseLostError where somebody has ended this shift."""
        if self.is_lost:
            raise LeaseLostError(TAKEN_OVER)
        self._take_pulse()
        self._measure.store_point()

    # --- feeding and buying -----------------------------------------------------------------------

    def _fill(self, offer: Offer[Tag]) -> None:
        until = time.monotonic() + TURN_SECONDS
        while not self._is_draining and self._can_sell(offer):
            self._feed(offer)
            self._buy(offer)
            self.beat()
            if time.monotonic() > until:
                break

    def _can_sell(self, offer: Offer[Tag]) -> bool:
        """There is room for an order that is ready, or for those of further rows."""
        if self._lacks(offer) and not self._hand.is_exhausted:
            return True
        return any(offer.left_for(teacher) for teacher in self._queue.teachers)

    def _lacks(self, offer: Offer[Tag]) -> int:
        """How many rows are to be fetched, so that what they ask for fills the room."""
        if self._queue.num_ready + self._queue.num_later >= MOST_WAITING:
            return 0
        if self._fresh_lane is None:
            return EXAMINED_ROWS
        free = offer.left_for(self._fresh_lane)
        lacks = free + self._extra - self._queue.ready_for(self._fresh_lane) if free else 0
        if lacks > 0 and not self._job.plan.asks:
            return max(lacks, EXAMINED_ROWS)
        return max(lacks, 0)

    def _feed(self, offer: Offer[Tag]) -> None:
        if not (wanted := self._lacks(offer)):
            return
        works = self._hand.feed(wanted)
        if works:
            with self._holding():
                orders = begin(self._job, works)
            self._hand.move(begun=[work.row_id for work in works], orders=orders)
            self._queue.add(orders)

    def _buy(self, offer: Offer[Tag]) -> None:
        """Buy from the ready orders; known replies are taken at once, at no cost."""
        batch = self._queue.pick(offer, extra=self._extra, now=time.monotonic())
        if not batch:
            return
        with self._holding():
            answers = ledger.buy(
                run_id=self._run.id,
                shift_id=self._shift.id,
                wishes=[order.wish for order in batch],
                now=timezone.now(),
                deadline=self._expiry,
            )
        known = []
        self._is_short_of_budget = False
        for order in batch:
            answer = answers[order.wish.key]
            if isinstance(answer, ledger.Bought):
                self._queue.sent(order)
                offer.sell(Sending(order.wish.request, Tag(order, answer)))
            elif isinstance(answer, ledger.Known):
                reply = reread(answer.raw, order.wish.request.teacher, answer.latency_ms)
                known.append(Answered(order, answer.call_id, reply))
            elif isinstance(answer, ledger.Busy):
                self._queue.postpone(order, time.monotonic() + _BUSY_SECONDS, is_busy=True)
            else:
                self._is_short_of_budget = True
                self._queue.postpone(order, time.monotonic() + _IDLE_SECONDS)
        if self._is_short_of_budget and not self._queue.num_in_flight:
            # Others may still get back what they have reserved; the last one to leave says it.
            self._drain("Out of budget: raise it and resume.")
        all_known = len(known) == len(batch)
        self._num_known_in_a_row = self._num_known_in_a_row + len(known) if all_known else 0
        self._follow(known)

    @property
    def _extra(self) -> int:
        """What the ledger knows takes no room: the more of it came in a row, the more is looked up."""
        return min(self._num_known_in_a_row, self.slots)

    # --- what arrived -----------------------------------------------------------------------------

    def _take(self, arrivals: Sequence[Arrival[Tag]]) -> None:
        answered, unsent = [], []
        for arrival in arrivals:
            order = arrival.tag.order
            match arrival.outcome:
                case Reply() as reply:
                    answered.append(Answered(order, arrival.tag.bought.call_id, reply))
                case TeacherError() as error:
                    self._fail(order, error, is_probe=arrival.is_probe)
                case _:
                    unsent.append(order)
        if answered:
            self._failures.note_reply()
        self._queue.add_first(unsent)
        self._follow(answered)

    def _follow(self, answered: list[Answered]) -> None:
        """Let the replies' orders go before those of fresh rows."""
        if answered:
            with self._holding():
                orders = take_replies(self._job, answered)
            self._hand.move(ended=[answer.order for answer in answered], orders=orders)
            self._queue.add_first(orders)

    def _fail(self, order: Order, error: TeacherError, *, is_probe: bool) -> None:
        """Try again later, or give the sample × draw up; some failures end the run."""
        if error.kind.stops_the_run:
            self._stop_all(f"{error} Mend that, then resume the run.")
            return
        if error.kind is FailureKind.TRUNCATED and (longer := longer_order(self._job, order)):
            self._hand.move(ended=[order], orders=[longer])
            self._queue.add_first([longer])
            return
        retry = self._failures.judge(self._job, order, error, is_probe=is_probe)
        if retry is not None:
            self._queue.postpone(retry.order, time.monotonic() + retry.seconds)
            return
        with self._holding():
            give_up(self._job, order, error, order.attempts + 1)
        self._hand.move(ended=[order], orders=())
        self._log(f"{order.work}: {error.kind}: {error}", RunEvent.Level.WARNING)
        if self._failures.is_hopeless:
            self._stop_all(
                f"{self._failures.given_up_in_a_row} requests in a row were given up, "
                f"the last one: {error}"
            )

    # --- stopping, telling ------------------------------------------------------------------------

    def _holding(self) -> AbstractContextManager[None]:
        return shifts.holding(self._shift)

    def _drain(self, message: str = "") -> None:
        """Buy nothing more. `message` says why nobody can go on; the first cause stands."""
        if not self._is_draining:
            self._is_draining, self.stop_message = True, message

    def _stop_all(self, message: str) -> None:
        shifts.fail_run(shift=self._shift, message=message)
        self._drain()

    def _hand_over(self) -> None:
        """Feed no more: the rest is for a successor, which need not wait for what is in flight."""
        self._drain()
        self._hand.give_back()
        if self._on_hand_over is not None:
            self._on_hand_over()

    def _log(self, message: str, level: RunEvent.Level = RunEvent.Level.INFO) -> None:
        RunEvent.objects.create(run=self._run, level=level, message=message)


def _fresh_lane(job: Job) -> str | None:
    """Whom fresh rows ask first; None where they ask nobody."""
    if job.plan.asks or job.plan.regenerates:
        return job.recipe.teacher.name
    if job.plan.judges and job.recipe.judges:
        return job.recipe.judges[0].teacher
    return None
