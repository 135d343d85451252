"""One step of a run: a shift from its begin to its end, with its slots kept full."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime

from django.db import connections

from distill.engine.pool import run_pool
from distill.logic.errors import DistillError
from distill.logic.pulse import Pulse
from distill.logic.recipe import Recipe
from distill.logic.throttle import Throttle
from distill.models import Run, Shift
from distill.services import shifts
from distill.services.book import Book
from distill.services.measure import remembered_limits
from distill.services.orders import make_job
from distill.services.patience import GONE, persist
from distill.services.runs import LeaseLostError
from distill.teachers.registry import open_teachers

FEED_SECONDS = 600
SWITCH_SECONDS = 0.0005
"""While the writer computes, the loop waits so long for the interpreter's lock after each look at
its sockets; with Python's 5 ms a fifth of 1,024 slots stood empty (docs/decisions/0004)."""


def _never() -> bool:
    return False


def run_step(
    run_id: int,
    *,
    feed_seconds: float = FEED_SECONDS,
    offline_url: str | None = None,
    on_pulse: Callable[[Pulse], None] | None = None,
    is_stopping: Callable[[], bool] = _never,
    on_hand_over: Callable[[], None] | None = None,
) -> str:
    """Work on a run for at most `feed_seconds`, plus what its requests in flight need.

    `is_stopping` says that the worker itself shall end: the run is left for another one.
    `on_hand_over` is called when it stops feeding: a successor has work from then on. Returns the
    state in which the run is left, QUEUED if there is more to do; "held" where others are at work
    on it, or it had ended. A failure is written into the run; an unexpected one is raised too.
    """
    shift = _join(run_id)
    if shift is None:
        return "held"
    run = Run.objects.select_related("recipe", "dataset", "price_list").get(id=run_id)
    until = time.monotonic() + feed_seconds
    content = run.recipe.content
    book = Book(
        run,
        shift,
        make_job(run),
        is_over=lambda: time.monotonic() > until or is_stopping(),
        on_pulse=on_pulse,
        on_hand_over=on_hand_over,
    )
    try:
        return _take_step(book, shift, content, offline_url)
    except LeaseLostError:
        return "held"


def _take_step(book: Book, shift: Shift, recipe: Recipe, offline_url: str | None) -> str:
    """Work, then leave the run. Raises LeaseLostError where somebody has ended the shift."""
    try:
        _work_off(book, recipe, offline_url)
    except LeaseLostError:
        raise
    except DistillError as error:
        shifts.fail_run(shift=shift, message=str(error))
    except GONE:
        # Nothing can be said of the run; the next step goes on with it.
        raise
    except Exception as error:
        shifts.fail_run(shift=shift, message=f"Unexpected: {error!r}")
        with suppress(LeaseLostError):
            shifts.end_shift(shift=shift)
        raise
    state = persist(lambda: shifts.end_shift(shift=shift, message=book.stop_message))
    return "held" if state in (Run.State.RUNNING, Run.State.STOPPING) else state


def _join(run_id: int) -> Shift | None:
    """Begin a shift where there is something to do; a worker that has just died is waited for."""
    until = time.monotonic() + shifts.LEASE.total_seconds() + 2
    seen = _beats(run_id)
    while not shifts.has_work(run_id=run_id):
        beats = _beats(run_id)
        died = [shift for shift, beat in beats.items() if seen.get(shift) == beat]
        if not died or time.monotonic() > until:
            return None
        time.sleep(0.5)
    return shifts.begin_shift(run_id=run_id)


def _beats(run_id: int) -> dict[int, datetime]:
    live = Shift.objects.filter(run=run_id, ended_at=None, run__state__in=Run.ACTIVE)
    return dict(live.values_list("id", "heartbeat_at"))


def _work_off(book: Book, recipe: Recipe, offline_url: str | None) -> None:
    """Let the pool run; the book's database connection ends with its thread."""
    throttle_for = _throttles(book, recipe)
    sys.setswitchinterval(SWITCH_SECONDS)
    with (
        ThreadPoolExecutor(1, thread_name_prefix="ledger") as writer,
        asyncio.Runner() as runner,
    ):
        try:
            writer.submit(book.beat).result()
            runner.run(_run_pool(book, recipe, writer, throttle_for, offline_url))
            writer.submit(book.close).result()
        finally:
            writer.submit(connections.close_all).result()


async def _run_pool(
    book: Book,
    recipe: Recipe,
    writer: Executor,
    throttle_for: Callable[[str], Throttle],
    offline_url: str | None,
) -> None:
    async with open_teachers(
        slots=recipe.teacher.slots, offline_url=offline_url, deadlines=recipe.deadlines
    ) as teacher:
        await run_pool(
            ask=teacher.ask,
            store=book.turn,
            slots=book.slots,
            throttle_for=throttle_for,
            writer=writer,
        )


def _throttles(book: Book, recipe: Recipe) -> Callable[[str], Throttle]:
    """What makes a lane's throttle: it begins where an earlier one of the same teacher was."""
    limits = {judge.teacher: judge.limits for judge in recipe.judges}
    limits[recipe.teacher.name] = recipe.teacher.limits
    remembered = remembered_limits(limits.keys())

    def make(teacher: str) -> Throttle:
        throttle = Throttle(
            ceiling=book.slots,
            limits=limits[teacher],
            remembered=remembered.get(teacher),
            now=time.monotonic(),
        )
        throttle.share(book.workers)
        return throttle

    return make
