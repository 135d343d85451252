"""A worker process on a run: its shift begins, beats, and ends; its id fences what it writes.

    queued ─► running ─► done                       the last shift to leave says so
                 └─► stopping ─► stopped | failed   what `Run.ending` says; every shift sees it

Several shifts share a run by its chunks. Each locks its own row alone while it writes, so workers
do not wait for one another; whoever finds a shift silent for the lease's time ends it and frees its
chunks. Times are the database's own, so that the clocks of hosts need not agree.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Case, F, Value, When
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from distill.models import Chunk, Run, RunEvent, Shift
from distill.services.runs import TAKEN_OVER, LeaseLostError

LEASE = timedelta(seconds=15)
"""A shift that has not been heard of for so long has lost its chunks."""

QUIET_SECONDS = 3.0
"""A shift beats each second; after so long without, it is waited for before the run is left to it."""

_STANDING = """
SELECT run.state, count(*), count(*) FILTER (WHERE shift.id < %(shift)s),
    coalesce(bool_or(shift.heartbeat_at < statement_timestamp() - make_interval(secs => %(quiet)s)), false)
FROM distill_shift AS shift JOIN distill_run AS run ON run.id = shift.run_id
WHERE shift.run_id = %(run)s AND shift.ended_at IS NULL GROUP BY run.state
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a shift stands among the others of its run.

    `live` shifts are at work, this one included, `rank` of them are older; `is_any_quiet` says that
    one of them has not been heard of for a moment, and may have died.
    """

    state: str
    live: int
    rank: int
    is_any_quiet: bool

    def share_of(self, slots: int) -> int:
        """This shift's part of slots that all workers share; one at least."""
        return max(1, slots // self.live + (self.rank < slots % self.live))


def begin_shift(*, run_id: int) -> Shift | None:
    """Put this process to work on an active run; a queued one runs from now on. None if it has ended."""
    begun = When(state=Run.State.QUEUED, then=Value(Run.State.RUNNING))
    with transaction.atomic():
        if not Run.objects.filter(id=run_id, state__in=Run.ACTIVE).update(
            state=Case(begun, default=F("state")), started_at=Coalesce("started_at", Now())
        ):
            return None
        return Shift.objects.create(
            run_id=run_id, host=socket.gethostname(), pid=os.getpid(), heartbeat_at=Now()
        )


def beat(*, shift: Shift, pulse: Mapping[str, Any]) -> Standing | None:
    """Renew the lease and tell how things are; None where somebody has ended this shift."""
    mine = Shift.objects.filter(id=shift.id, ended_at=None)
    if not mine.update(heartbeat_at=Now(), pulse=pulse):
        return None
    with connection.cursor() as cursor:
        cursor.execute(_STANDING, {"run": shift.run_id, "shift": shift.id, "quiet": QUIET_SECONDS})
        row = cursor.fetchone()
    return Standing(*row) if row else None


@contextmanager
def holding(shift: Shift) -> Iterator[None]:
    """One transaction during which nobody can end this shift.

    Raises LeaseLostError, before anything is written, where somebody has.
    """
    with transaction.atomic():
        mine = Shift.objects.select_for_update(no_key=True).filter(id=shift.id, ended_at=None)
        if not list(mine.values_list("id", flat=True)):
            raise LeaseLostError(TAKEN_OVER)
        yield


def end_shift(*, shift: Shift, state: str = Run.State.STOPPED, message: str = "") -> str:
    """Leave the run; its chunks are free again. Return the state in which the run is left.

    The last shift to leave ends the run: as `Run.ending` says where it is stopping, DONE where
    nothing is left to do. What is left to do makes it QUEUED again, or, with a `message` that says
    why nobody can go on, ends it in `state`. While others are at work it stays RUNNING or STOPPING.
    """
    with transaction.atomic():
        run = Run.objects.select_for_update(no_key=True).get(id=shift.run_id)
        if not Shift.objects.filter(id=shift.id, ended_at=None).update(ended_at=Now()):
            raise LeaseLostError(TAKEN_OVER)
        Chunk.objects.filter(shift=shift).update(shift=None)
        if not run.is_active or Shift.objects.filter(run=run, ended_at=None).exists():
            return run.state
        return _leave(run, *_ending(run, state, message))


def _ending(run: Run, state: str, message: str) -> tuple[str, str]:
    if run.state == Run.State.STOPPING:
        return run.ending or Run.State.STOPPED, run.message or "Stopped on request."
    if run.is_populated and not Chunk.objects.filter(run=run, is_done=False).exists():
        return Run.State.DONE, ""
    return (state, message) if message else (Run.State.QUEUED, "")


def _leave(run: Run, state: str, message: str) -> str:
    """Move the run whose row is locked, and say in its log how it ended."""
    is_over = state not in Run.ACTIVE
    if is_over:
        level = RunEvent.Level.ERROR if state == Run.State.FAILED else RunEvent.Level.INFO
        RunEvent.objects.create(run=run, level=level, message=message or "Done.")
    Run.objects.filter(id=run.id).update(
        state=state,
        message=message,
        ending="",
        finished_at=timezone.now() if is_over else None,
    )
    return state


def fail_run(*, shift: Shift, message: str) -> bool:
    """Let all shifts of the run stop, and the last one end it as failed; the first cause stands."""
    return bool(
        Run.objects.filter(id=shift.run_id, state=Run.State.RUNNING).update(
            state=Run.State.STOPPING, ending=Run.State.FAILED, message=message
        )
    )


def end_dead_shifts(*, run_id: int | None = None) -> int:
    """End the shifts, of one run or of all, that have been silent for the lease's time.

    Their chunks are free again; what they had in flight is possibly billed. Return how many.
    """
    silent = Shift.objects.filter(ended_at=None, heartbeat_at__lt=Now() - LEASE)
    if run_id is not None:
        silent = silent.filter(run=run_id)
    return sum(_end_dead(shift) for shift in silent)


def _end_dead(shift: Shift) -> bool:
    with transaction.atomic():
        silent = Shift.objects.filter(id=shift.id, ended_at=None, heartbeat_at__lt=Now() - LEASE)
        if not silent.update(ended_at=Now()):
            return False
        Chunk.objects.filter(shift=shift).update(shift=None)
        RunEvent.objects.create(
            run_id=shift.run_id,
            level=RunEvent.Level.WARNING,
            message=f"The worker on {shift.host} (process {shift.pid}) is not heard of any more; "
            "others take over what it had.",
        )
    return True


def has_work(*, run_id: int) -> bool:
    """Whether a further worker finds something to do on the run; its dead shifts are ended first."""
    end_dead_shifts(run_id=run_id)
    run = Run.objects.filter(id=run_id, state__in=Run.ACTIVE).first()
    if run is None:
        return False
    if not Shift.objects.filter(run=run, ended_at=None).exists():
        return True
    if run.state == Run.State.STOPPING:
        return False
    free = Chunk.objects.filter(run=run, is_done=False, shift=None)
    return not run.is_populated or free.exists()


def missing_workers() -> dict[int, int]:
    """How many workers each active run lacks that has work for them, by the run's id."""
    end_dead_shifts()
    missing = {}
    for run in Run.objects.filter(state__in=Run.ACTIVE).order_by("id"):
        wanted = run.workers - Shift.objects.filter(run=run, ended_at=None).count()
        if wanted > 0 and has_work(run_id=run.id):
            missing[run.id] = wanted
    return missing
