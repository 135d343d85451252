"""How a run is doing: what its page asks for every two seconds, what failed, and its log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Avg, Count, Max

from distill.logic.errors import FailureKind
from distill.logic.plans import PLANS
from distill.logic.stretch import TimeLeft, is_retryable, time_left
from distill.models import Run, RunEvent, SampleDraw
from distill.queries.run_plots import Work, read_work
from distill.queries.telemetry import Live, read_live

NUM_EVENTS = 200
QUIET_AFTER = timedelta(seconds=30)
"""A running worker says something every second; silent for so long, it is probably gone."""

_State = SampleDraw.State


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run's sample draws are, and what its workers say."""

    by_state: dict[str, int]
    is_counting: bool
    """Its sample draws are still being written down, so that `total` grows."""
    live: Live
    left: TimeLeft
    work: Work
    is_quiet: bool
    """The run is running, but none of its workers has said anything for a while."""
    is_untaken: bool
    """The run is queued for a while, and no worker has ever taken it."""
    may_retry: bool
    """It has ended, and some of what failed would be tried again if it were resumed."""

    @property
    def in_flight(self) -> int:
        return self.live.now.reading.in_flight

    @property
    def replies_per_s(self) -> float:
        return round(self.live.recent.replies_per_s, 1)

    @property
    def seconds_left(self) -> int | None:
        return self.left.seconds

    @property
    def total(self) -> int:
        return sum(self.by_state.values())

    @property
    def pending(self) -> int:
        return self.by_state.get(_State.PENDING, 0)

    @property
    def num_failed(self) -> int:
        return self.by_state.get(_State.FAILED, 0)

    @property
    def answered(self) -> int:
        """Answered and nothing else: where a run that only generates leaves them."""
        return self.by_state.get(_State.ANSWERED, 0)

    @property
    def filtered(self) -> int:
        return self.by_state.get(_State.FILTERED, 0)

    @property
    def passed(self) -> int:
        return self.by_state.get(_State.PASSED, 0)

    @property
    def rejected(self) -> int:
        return self.by_state.get(_State.REJECTED, 0)

    @property
    def finished(self) -> int:
        """Whatever the run has nothing more to do for."""
        return self.total - self.pending


@dataclass(frozen=True, slots=True)
class FailedKind:
    """So many sample draws that failed in one way, and the last message that said so.

    Their requests were sent `attempts` times on average, `most_attempts` at most; 0 where that was
    not written down.
    """

    kind: str
    count: int
    message: str
    attempts: float = 0.0
    most_attempts: int = 0

    @property
    def is_retryable(self) -> bool:
        """Resuming the run tries them again."""
        return is_retryable(self.kind)


def live_progress(run: Run, *, now: datetime) -> Progress:
    """The fast part, in four index-only queries of a run that goes on, three of an ended one."""
    by_state = count_states(run)
    live = read_live(run, now=now)
    is_counting = run.is_active and not run.is_populated
    beat = max(filter(None, (live.last_heard_at, run.started_at)), default=None)
    return Progress(
        by_state=by_state,
        is_counting=is_counting,
        live=live,
        left=_left(run, by_state.get(_State.PENDING, 0), live),
        work=read_work(run),
        is_quiet=run.state == Run.State.RUNNING and (not beat or now - beat > QUIET_AFTER),
        is_untaken=run.state == Run.State.QUEUED
        and run.started_at is None
        and now - run.created_at > QUIET_AFTER,
        may_retry=not run.is_active and _has_passing_failures(run),
    )


def _left(run: Run, pending: int, live: Live) -> TimeLeft:
    if not run.is_active or run.state == Run.State.STOPPING:
        return TimeLeft(None, "")
    if live.workers and not any(worker.is_heard for worker in live.workers):
        return TimeLeft(None, "no worker is heard of just now; cannot tell")
    return time_left(
        pending=pending,
        recent=live.recent,
        now=live.now,
        replies_a_draw=_replies_a_draw(run),
        is_counted=run.is_populated,
    )


def _has_passing_failures(run: Run) -> bool:
    kinds = [kind for kind in FailureKind if kind.is_retryable]
    return run.sample_draws.filter(state=_State.FAILED, failure_kind__in=kinds).exists()


def count_states(run: Run) -> dict[str, int]:
    """How many sample draws are in each state that occurs."""
    rows = run.sample_draws.order_by().values_list("state")
    return dict(rows.annotate(count=Count("pk")))


def list_failures(run: Run) -> list[FailedKind]:
    """What failed for good, by kind, most frequent first, in two queries."""
    failed = run.sample_draws.filter(state=_State.FAILED)
    counts = (
        failed.order_by()
        .values_list("failure_kind")
        .annotate(count=Count("pk"), attempts=Avg("failure_attempts"), most=Max("failure_attempts"))
    )
    messages = failed.order_by("failure_kind", "-pk").distinct("failure_kind")
    said = dict(messages.values_list("failure_kind", "failure_message"))
    rows = [
        FailedKind(kind or "unknown", count, said[kind], float(attempts), most)
        for kind, count, attempts, most in counts
    ]
    return sorted(rows, key=lambda row: (-row.count, row.kind))


def last_events(run: Run) -> list[RunEvent]:
    """The last lines of the run's log, newest first."""
    return list(run.events.order_by("-id")[:NUM_EVENTS])


def _replies_a_draw(run: Run) -> int:
    """A sample draw needs a reply of the teacher and one of each judge, as the kind of run says."""
    plan = PLANS[run.kind]
    judges = len(run.recipe.document["judges"]) if plan.judges else 0
    return max(1, plan.asks + judges)
