"""The window of requests in flight. It knows neither Django nor sockets.

One loop keeps up to `slots` requests in flight. Everything durable happens in `store`, called in
the writer's only thread: it is given what has arrived and how many slots are free, commits, and
says what to send next. A slot is free as soon as its reply has arrived.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Generic, TypeVar

from distill.logic.errors import TeacherError
from distill.logic.types import Reply, Request

Tag = TypeVar("Tag")

GATHER_SECONDS = 0.02
"""After the first arrival, so long are others waited for, to be committed together."""


@dataclass(frozen=True, slots=True)
class Sending(Generic[Tag]):
    """A request that may leave now: its purchase is committed. `tag` comes back with the reply."""

    request: Request
    tag: Tag


@dataclass(frozen=True, slots=True)
class Arrival(Generic[Tag]):
    tag: Tag
    outcome: Reply | TeacherError


@dataclass(frozen=True, slots=True)
class Turn(Generic[Tag]):
    """What `store` answers: send these, call again after at most `wake_after` seconds.

    `is_finished` says that nothing more will be sent once the requests in flight are stored.
    """

    sendings: list[Sending[Tag]]
    wake_after: float
    is_finished: bool


Store = Callable[[list[Arrival[Tag]], int], Turn[Tag]]


async def run_window(
    *,
    ask: Callable[[Request], Awaitable[Reply]],
    store: Store[Tag],
    slots: int,
    writer: Executor,
) -> None:
    """Keep `slots` requests in flight until `store` says that it is finished.

    Raises whatever `store` raises, and what `ask` raises beside `TeacherError`; requests in flight
    are cancelled then, and stay in the ledger as sent.
    """
    window: _Window[Tag] = _Window(ask=ask, slots=slots)
    loop = asyncio.get_running_loop()
    try:
        while True:
            arrivals = window.take_arrivals()
            turn = await loop.run_in_executor(writer, store, arrivals, window.free_slots)
            window.send(turn.sendings)
            if turn.is_finished and window.is_idle:
                return
            await window.wait(turn.wake_after)
    finally:
        await window.cancel()


class _Window(Generic[Tag]):
    def __init__(self, *, ask: Callable[[Request], Awaitable[Reply]], slots: int) -> None:
        self._ask = ask
        self._slots = slots
        self._tasks: set[asyncio.Task[None]] = set()
        self._arrivals: list[Arrival[Tag]] = []
        self._arrived = asyncio.Event()
        self._broken: BaseException | None = None

    @property
    def free_slots(self) -> int:
        return self._slots - len(self._tasks)

    @property
    def is_idle(self) -> bool:
        return not self._tasks and not self._arrivals

    def take_arrivals(self) -> list[Arrival[Tag]]:
        if self._broken is not None:
            raise self._broken
        arrivals, self._arrivals = self._arrivals, []
        self._arrived.clear()
        return arrivals

    def send(self, sendings: list[Sending[Tag]]) -> None:
        for sending in sendings:
            task = asyncio.create_task(self._answer(sending))
            self._tasks.add(task)
            task.add_done_callback(self._free)

    async def wait(self, seconds: float) -> None:
        """Return when something has arrived, or after `seconds`."""
        try:
            await asyncio.wait_for(self._arrived.wait(), timeout=seconds)
        except TimeoutError:
            return
        if self._tasks:
            await asyncio.sleep(GATHER_SECONDS)

    async def cancel(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _answer(self, sending: Sending[Tag]) -> None:
        try:
            outcome: Reply | TeacherError = await self._ask(sending.request)
        except TeacherError as error:
            outcome = error
        self._arrivals.append(Arrival(sending.tag, outcome))

    def _free(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._broken = task.exception()
        self._arrived.set()
