"""The pool of slots: requests in flight, and the writer's turns beside them.

It knows neither Django nor sockets. Two things go on at the same time:

1. Slots, each asking one request after the other. The moment a reply has arrived, its slot takes
   the next sending that a throttle admits, lane after lane (a lane is a teacher with its throttle
   and its ready sendings). A slot never waits for a commit.
2. The writer's only thread, which calls `store` over and over. It is given what has arrived and
   how many requests it may buy, commits, and returns what it bought. It buys ahead, so that each
   lane holds what its slots will take until the next turn, and hardly more.

What was bought ahead and cannot leave soon is handed back as UNSENT.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from enum import Enum
from typing import Final, Generic, TypeVar

from distill.engine.lane import PATIENCE_SECONDS, Departure, Lane, Ready
from distill.engine.meter import Meter
from distill.logic.errors import TeacherError
from distill.logic.reading import Reading
from distill.logic.throttle import Throttle
from distill.logic.types import Reply, Request

Tag = TypeVar("Tag")

GATHER_SECONDS = 0.05
"""After the first arrival, so long at most are others waited for, to be committed together."""
LOOK_SECONDS = 0.1
"""So often a resting writer looks whether a throttle has room again."""
SAFETY = 1.2
FRESH = 8
"""Bought for a lane whose throttle is not known yet; its next turn follows at once."""


class Unsent(Enum):
    UNSENT = "unsent"


UNSENT: Final = Unsent.UNSENT
"""The outcome of a sending that never left."""


@dataclass(frozen=True, slots=True)
class Sending(Generic[Tag]):
    """A request that may leave: its purchase is committed. `tag` comes back with the outcome."""

    request: Request
    tag: Tag


@dataclass(frozen=True, slots=True)
class Arrival(Generic[Tag]):
    """How a sending ended; `is_probe` where it was a circuit's half-open probe."""

    tag: Tag
    outcome: Reply | TeacherError | Unsent
    is_probe: bool = False


@dataclass(frozen=True, slots=True)
class Room:
    """How many requests may be bought in this turn: in each lane, in one that the pool has not
    seen yet (`fresh`), and in all."""

    by_lane: Mapping[str, int]
    fresh: int
    total: int

    def of(self, lane: str) -> int:
        return self.by_lane.get(lane, self.fresh)


@dataclass(frozen=True, slots=True)
class Report(Generic[Tag]):
    """What `store` is given: what arrived since the last turn, what may be bought, the meter."""

    arrivals: list[Arrival[Tag]]
    room: Room
    reading: Reading


@dataclass(frozen=True, slots=True)
class Turn(Generic[Tag]):
    """What `store` answers: these may leave, in this order within a lane.

    It is called again when something has arrived, when slots could take more than it was allowed
    to buy, and after `wake_after` seconds at most (0: at once; it has more to sell than it had
    time for). `is_finished` says that nothing more will be sent; the pool ends once everything has
    come back and was stored. `drain` hands back what has not left. `slots` and `workers`, where
    set, are this worker's new allowance and how many workers share the teachers' limits.
    """

    sendings: list[Sending[Tag]]
    wake_after: float
    is_finished: bool
    drain: bool = False
    slots: int | None = None
    workers: int | None = None


Store = Callable[[Report[Tag]], Turn[Tag]]


async def run_pool(
    *,
    ask: Callable[[Request], Awaitable[Reply]],
    store: Store[Tag],
    slots: int,
    throttle_for: Callable[[str], Throttle],
    writer: Executor,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Keep `slots` requests in flight until `store` says that it is finished.

    `writer` has one thread. `throttle_for` makes the throttle of a teacher's name; the throttle is
    used in the loop's thread alone, with times of `clock`, in seconds. Raises whatever `store`
    raises, and what `ask` raises beside `TeacherError`, after what had arrived was stored. Requests
    in flight are cancelled then and stay in the ledger as sent, and so does what was ready.
    """
    pool: _Pool[Tag] = _Pool(ask=ask, slots=slots, throttle_for=throttle_for, clock=clock)
    loop = asyncio.get_running_loop()
    try:
        while True:
            broken = pool.broken
            report = pool.report()
            turn = await loop.run_in_executor(writer, store, report)
            if broken is not None:
                raise broken
            pool.carry_out(turn, report.room)
            if turn.is_finished and pool.is_idle:
                return
            await pool.rest(turn.wake_after)
    finally:
        await pool.cancel()


class _Pool(Generic[Tag]):
    def __init__(
        self,
        *,
        ask: Callable[[Request], Awaitable[Reply]],
        slots: int,
        throttle_for: Callable[[str], Throttle],
        clock: Callable[[], float],
    ) -> None:
        self._ask, self._slots, self._workers = ask, slots, 1
        self._throttle_for, self._clock = throttle_for, clock
        self._loop = asyncio.get_running_loop()
        self._lanes: dict[str, Lane[Tag]] = {}
        self._rota: deque[Lane[Tag]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._num_busy = 0
        self._arrivals: list[Arrival[Tag]] = []
        self._first_arrival = 0.0
        self._meter = Meter(slots=slots, now=clock())
        self._reported_at = 0.0
        self._turn_seconds = 0.0
        self._is_draining = False
        self._alarm: asyncio.Future[None] | None = None
        self.broken: BaseException | None = None

    # --- the writer's side ------------------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        has_ready = any(lane.ready for lane in self._rota)
        return not self._num_busy and not self._arrivals and not has_ready

    def report(self) -> Report[Tag]:
        """What has arrived since the last report, and what may be bought now."""
        now = self._clock()
        for lane in self._rota:
            lane.end_cycle()
            self._hand_back(lane.take_stale(now))
        throttles = {
            lane.name: (lane.throttle.limit, lane.throttle.state) for lane in self._lanes.values()
        }
        arrivals, self._arrivals = self._arrivals, []
        self._reported_at = now
        return Report(arrivals, self._room(now), self._meter.take(throttles, now=now))

    def carry_out(self, turn: Turn[Tag], room: Room) -> None:
        """Let go what was bought; `room` is what the turn was allowed to buy."""
        now = self._clock()
        # A turn that took long makes the next ones buy further ahead, for some turns.
        self._turn_seconds = max(now - self._reported_at, 0.8 * self._turn_seconds)
        self._is_draining = turn.drain
        self._adopt(turn, now)
        self._push(turn.sendings, room, now)
        if self._is_draining:
            for lane in self._rota:
                self._hand_back(list(lane.ready))
                lane.ready.clear()
        self._fill()

    async def rest(self, seconds: float) -> None:
        """Return when the writer's next turn is due, after `seconds` at most."""
        until = self._clock() + seconds
        while (left := self._next_turn(until) - self._clock()) > 0:
            self._alarm = self._loop.create_future()
            timer = self._loop.call_later(min(left, LOOK_SECONDS), self._wake)
            await self._alarm
            timer.cancel()

    async def cancel(self) -> None:
        for lane in self._rota:
            self._unblock(lane)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _room(self, now: float) -> Room:
        if self._is_draining or self.broken is not None:
            return Room({}, 0, 0)
        free = max(0, self._slots - self._num_busy)
        seconds = SAFETY * (self._turn_seconds + max(self._turn_seconds, GATHER_SECONDS))
        by_lane, total = {}, free
        for lane in self._rota:
            ahead = lane.ahead(seconds, self._slots)
            total += max(0, ahead - len(lane.ready))
            wanted = min(free, lane.throttle.room(now)) + ahead
            by_lane[lane.name] = max(0, wanted - len(lane.ready))
        return Room(by_lane, min(FRESH, free), total)

    def _push(self, sendings: list[Sending[Tag]], room: Room, now: float) -> None:
        sold: dict[str, int] = {}
        for sending in sendings:
            name = sending.request.teacher
            lane = self._lanes.get(name) or self._open_lane(name)
            lane.push(sending.request, sending.tag, now)
            sold[name] = sold.get(name, 0) + 1
        is_full = len(sendings) >= room.total
        for lane in self._rota:
            if offered := min(room.of(lane.name), room.total):
                lane.has_more = is_full or sold.get(lane.name, 0) >= offered

    def _open_lane(self, name: str) -> Lane[Tag]:
        throttle = self._throttle_for(name)
        throttle.resize(self._slots)
        throttle.share(self._workers)
        lane: Lane[Tag] = Lane(name, throttle)
        self._lanes[name] = lane
        self._rota.append(lane)
        return lane

    def _adopt(self, turn: Turn[Tag], now: float) -> None:
        """Take over another number of slots or of workers."""
        if turn.slots is not None and turn.slots != self._slots:
            self._slots = turn.slots
            self._meter.resize(turn.slots, now=now)
            for lane in self._rota:
                lane.throttle.resize(turn.slots)
        if turn.workers is not None and turn.workers != self._workers:
            self._workers = turn.workers
            for lane in self._rota:
                lane.throttle.share(turn.workers)

    def _next_turn(self, until: float) -> float:
        """When the writer's next turn is due, as things stand."""
        now = self._clock()
        if self.broken is not None or self._is_starving(now):
            return now
        if self._arrivals:
            until = min(until, self._first_arrival + GATHER_SECONDS)
        waiting = (lane.ready[0].since for lane in self._rota if lane.ready)
        return min(until, min(waiting, default=until) + PATIENCE_SECONDS)

    def _is_starving(self, now: float) -> bool:
        """A slot is free, its teacher would take a request, and the writer has one to sell."""
        if self._is_draining or self._num_busy >= self._slots:
            return False
        return any(
            lane.has_more and not lane.ready and lane.throttle.room(now) > 0 for lane in self._rota
        )

    def _wake(self) -> None:
        if self._alarm is not None and not self._alarm.done():
            self._alarm.set_result(None)

    # --- the slots' side --------------------------------------------------------------------------

    def _fill(self) -> None:
        while self._num_busy < self._slots and (departure := self._next()) is not None:
            self._num_busy += 1
            task = self._loop.create_task(self._work(departure))
            self._tasks.add(task)
            task.add_done_callback(self._end)

    async def _work(self, departure: Departure[Tag] | None) -> None:
        """One slot: ask this, then whatever is next, as long as there is something."""
        while departure is not None:
            await self._ask_once(departure)
            departure = self._next() if self._num_busy <= self._slots else None
            if departure is not None and self._num_busy < self._slots:
                self._fill()  # the reply may have made room for more than one
        self._num_busy -= 1
        if self._is_starving(self._clock()):
            self._wake()

    async def _ask_once(self, departure: Departure[Tag]) -> None:
        lane, ready = departure.lane, departure.ready
        try:
            outcome: Reply | TeacherError = await self._ask(ready.request)
        except TeacherError as error:
            outcome = error.with_traceback(None)  # it would keep this frame, and so itself
        except BaseException:
            now = self._clock()
            lane.cancel(now)
            self._meter.cancelled(lane.name, now=now)
            raise
        now = self._clock()
        lane.settle(departure, outcome, now)
        self._meter.arrived(lane.name, outcome, now=now)
        self._arrive(Arrival(ready.tag, outcome, departure.is_probe), now)
        self._unblock(lane)
        if lane.throttle.state == "open":
            self._hand_back(lane.take_stale(now))

    def _next(self) -> Departure[Tag] | None:
        """The next sending that may leave, lane after lane; None where none may leave now."""
        if self.broken is not None:
            return None
        now = self._clock()
        for _ in range(len(self._rota)):
            lane = self._rota[0]
            self._rota.rotate(-1)
            if not lane.ready or lane.blocked is not None:
                continue
            departure = lane.depart(now)
            if isinstance(departure, Departure):
                self._meter.sent(lane.name, now=now)
                return departure
            # Sooner than that is not worth a timer; later, the sending has been handed back.
            seconds = min(max(departure, 0.01), PATIENCE_SECONDS)
            lane.blocked = self._loop.call_later(seconds, self._retry, lane)
        return None

    def _retry(self, lane: Lane[Tag]) -> None:
        self._unblock(lane)
        self._fill()

    def _unblock(self, lane: Lane[Tag]) -> None:
        if lane.blocked is not None:
            lane.blocked.cancel()
            lane.blocked = None

    def _hand_back(self, unsent: list[Ready[Tag]]) -> None:
        now = self._clock()
        for ready in unsent:
            self._lanes[ready.request.teacher].has_more = True
            self._arrive(Arrival(ready.tag, UNSENT), now)

    def _arrive(self, arrival: Arrival[Tag], now: float) -> None:
        self._arrivals.append(arrival)
        if len(self._arrivals) == 1:
            self._first_arrival = now
            self._wake()

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        # A slot that somebody else cancelled would leave its request neither sent nor stored.
        self.broken = self.broken or (
            RuntimeError("a slot was cancelled") if task.cancelled() else task.exception()
        )
        if self.broken is not None:
            self._wake()
