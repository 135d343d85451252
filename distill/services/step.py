"""One step of a run: a shift from its begin to its end, with its slots kept full."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import datetime

from django.db import OperationalError, connections

from distill.engine.window import run_window
from distill.logic.errors import DistillError
from distill.logic.pulse import Pulse
from distill.models import Run, Shift
from distill.services import shifts
from distill.services.book import REQUEST_SECONDS, Book
from distill.services.runs import LeaseLostError
from distill.teachers.registry import open_teachers

FEED_SECONDS = 600


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
    run = Run.objects.select_related("recipe", "dataset").get(id=run_id)
    until = time.monotonic() + feed_seconds
    book = Book(
        run,
        shift,
        is_over=lambda: time.monotonic() > until or is_stopping(),
        on_pulse=on_pulse,
        on_hand_over=on_hand_over,
    )
    try:
        _work_off(book, offline_url)
    except LeaseLostError:
        return "held"
    except DistillError as error:
        shifts.fail_run(shift=shift, message=str(error))
    except OperationalError:
        # The database is gone: nothing can be said of the run, and the next step goes on with it.
        raise
    except Exception as error:
        shifts.fail_run(shift=shift, message=f"Unexpected: {error!r}")
        shifts.end_shift(shift=shift)
        raise
    state = shifts.end_shift(shift=shift, message=book.stop_message)
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


def _work_off(book: Book, offline_url: str | None) -> None:
    """Let the window run; the book's database connection ends with its thread."""
    with ThreadPoolExecutor(1, thread_name_prefix="ledger") as writer:
        try:
            asyncio.run(_run_window(book, writer, offline_url))
        finally:
            writer.submit(connections.close_all).result()


async def _run_window(book: Book, writer: Executor, offline_url: str | None) -> None:
    async with open_teachers(
        slots=book.slots, offline_url=offline_url, total_timeout=REQUEST_SECONDS
    ) as teacher:
        await run_window(ask=teacher.ask, store=book.turn, slots=book.slots, writer=writer)
