"""One step of a run: hold its lease, keep its window full, and leave it ready for the next step."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor

from django.db import connections

from distill.engine.window import run_window
from distill.logic.errors import DistillError
from distill.models import Run
from distill.services import runs
from distill.services.book import REQUEST_SECONDS, Book, Pulse
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
) -> str:
    """Work on a run for at most `feed_seconds`, plus what its requests in flight need.

    `is_stopping` says that the worker itself shall end: the run is left for another one. Returns
    the state in which the run is left: QUEUED if there is more to do; "held" where another worker
    has it, or it had ended. A failure is written into the run; an unexpected one is raised too.
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
        _work_off(book, offline_url)
        state, message = book.outcome()
    except runs.LeaseLostError:
        return "held"
    except DistillError as error:
        state, message = Run.State.FAILED, str(error)
    except Exception as error:
        book.end(Run.State.FAILED, f"Unexpected: {error!r}")
        raise
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
