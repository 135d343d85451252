"""What becomes of a request that failed, and what the failures say of a teacher."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from distill.logic.errors import FailureKind, TeacherError
from distill.logic.reading import Reading
from distill.logic.retry import next_delay
from distill.models import Run, RunEvent
from distill.services.orders import Job, Order

HOPELESS_FAILURES = 25
"""So many requests given up in a row, none answered between them: the request itself is wrong, such
as one to a model that the teacher does not know."""

OF_THE_TEACHER = frozenset(
    {
        FailureKind.RATE_LIMITED,
        FailureKind.SERVER,
        FailureKind.CONNECTION,
        FailureKind.TIMEOUT,
    }
)
"""What opens its circuit: the run pauses until the teacher answers again."""
_NOBODY_THERE = frozenset({FailureKind.RATE_LIMITED, FailureKind.CONNECTION})
PROBE_SECONDS = 2.5
"""So long at most an open circuit waits between two probes (`logic.circuit`)."""
_OF_THE_SAMPLE = frozenset({FailureKind.REFUSED, FailureKind.CONTEXT_TOO_LONG})


@dataclass(frozen=True, slots=True)
class Retry:
    """The order as it is sent again, after so many seconds."""

    order: Order
    seconds: float


class Failures:
    """Judges failures one by one, and tells the run's log when a teacher is silent or back."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._said: dict[str, str] = {}
        self._is_silent: dict[str, bool] = {}
        self.given_up_in_a_row = 0

    @property
    def is_hopeless(self) -> bool:
        """No other request would fare better."""
        return self.given_up_in_a_row >= HOPELESS_FAILURES

    def note_reply(self) -> None:
        self.given_up_in_a_row = 0

    def judge(self, job: Job, order: Order, error: TeacherError, *, is_probe: bool) -> Retry | None:
        """When the order is sent again; None where it is given up.

        A rate limit uses up no attempt; the order waits at least as long as the provider said. Nor
        does a probe that found nobody: it leaves again as soon as the circuit lets it. Both wait no
        longer than the recipe allows in all. A probe that was let in and failed counts as any other
        request: its order alone may be what the teacher cannot bear.
        """
        self._said[order.wish.request.teacher] = str(error)
        if is_probe and error.kind in _NOBODY_THERE and error.retry_after is None:
            waited = order.waited_seconds + PROBE_SECONDS
            if waited <= job.recipe.retry.max_wait_seconds:
                return Retry(replace(order, waited_seconds=waited), 0.0)
            return None
        is_limited = error.kind is FailureKind.RATE_LIMITED
        counted, failures = order.after(error.kind)
        seconds = next_delay(
            job.recipe.retry,
            kind=error.kind,
            failures=failures,
            retry_after=error.retry_after,
            jitter=random.random(),
            waited_seconds=order.waited_seconds,
        )
        if seconds is None:
            passing = error.kind in OF_THE_TEACHER or error.kind in _OF_THE_SAMPLE
            self.given_up_in_a_row += not passing
            return None
        waited = order.waited_seconds + (seconds if is_limited else 0.0)
        return Retry(replace(counted, waited_seconds=waited), seconds)

    def watch(self, reading: Reading) -> None:
        """Say in the run's log when a teacher's circuit has opened, and when it has closed again."""
        for teacher, lane in reading.lanes.items():
            is_silent = lane.state != "closed"
            if is_silent != self._is_silent.get(teacher, False):
                self._is_silent[teacher] = is_silent
                self._tell(teacher, is_silent=is_silent)

    def _tell(self, teacher: str, *, is_silent: bool) -> None:
        level, message = RunEvent.Level.INFO, f"{teacher} answers again."
        if is_silent:
            why = f" ({self._said[teacher]})" if teacher in self._said else ""
            level = RunEvent.Level.WARNING
            message = f"{teacher} does not answer{why}; trying again every 2 s."
        RunEvent.objects.create(run=self._run, level=level, message=message)
