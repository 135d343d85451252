"""How a run is doing: what its page asks for every two seconds, and its account, asked less often."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Q, Sum
from django.utils.dateparse import parse_datetime

from distill.models import Purchase, Reply, Run, RunEvent, SampleDraw

NUM_EVENTS = 200
QUIET_AFTER = timedelta(seconds=30)
"""A running worker says something every second; silent for so long, it is probably gone."""

_State = SampleDraw.State


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run's sample draws are, and what its worker last said."""

    by_state: dict[str, int]
    failed: tuple[tuple[str, int], ...]
    """Failed sample draws by kind, most frequent first."""
    in_flight: int
    slots: int
    replies_per_s: float
    retries: int
    waiting_until: datetime | None
    seconds_left: int | None
    """None while nobody can tell."""
    is_quiet: bool
    """The run is running, but its worker has said nothing for a while."""

    @property
    def total(self) -> int:
        return sum(self.by_state.values())

    @property
    def pending(self) -> int:
        return self.by_state.get(_State.PENDING, 0)

    @property
    def answered(self) -> int:
        """Whatever has an answer, decided or not."""
        return self.total - self.pending - self.num_failed

    @property
    def num_failed(self) -> int:
        return self.by_state.get(_State.FAILED, 0)

    @property
    def passed(self) -> int:
        return self.by_state.get(_State.PASSED, 0)

    @property
    def rejected(self) -> int:
        return self.by_state.get(_State.REJECTED, 0)

    @property
    def done(self) -> int:
        """Decided for good: passed, rejected or failed."""
        return self.passed + self.rejected + self.num_failed


@dataclass(frozen=True, slots=True)
class Account:
    """What a run asked of models, and what that cost, in 1e-9 USD."""

    sent: int
    unpriced: int
    """Purchases whose price is unknown: they are in none of the sums."""
    errors: tuple[tuple[str, int], ...]
    """Replies that were failures, by kind; most were tried again."""
    possibly_billed: int
    """Purchases that never got a reply and no longer can."""
    possibly_billed_nano: int
    from_ledger: int
    """Sample draws answered by what an earlier run or request had bought."""


def live_progress(run: Run, *, now: datetime) -> Progress:
    """The fast part, in two queries: one index-only count, and the failures."""
    by_state = count_states(run)
    failed = run.sample_draws.filter(state=_State.FAILED).order_by().values_list("failure_kind")
    pulse = run.pulse if run.state in (Run.State.RUNNING, Run.State.STOPPING) else {}
    rate = float(pulse.get("replies_per_s") or 0)
    beat = run.heartbeat_at or run.started_at
    return Progress(
        by_state=by_state,
        failed=tuple(failed.annotate(count=Count("pk")).order_by("-count", "failure_kind")),
        in_flight=int(pulse.get("in_flight") or 0),
        slots=int(pulse.get("slots") or 0),
        replies_per_s=rate,
        retries=int(pulse.get("retries") or 0),
        waiting_until=parse_datetime(str(pulse.get("waiting_until") or "")),
        seconds_left=_seconds_left(by_state.get(_State.PENDING, 0), rate),
        is_quiet=run.state == Run.State.RUNNING and (not beat or now - beat > QUIET_AFTER),
    )


def count_states(run: Run) -> dict[str, int]:
    """How many sample draws are in each state that occurs."""
    rows = run.sample_draws.order_by().values_list("state")
    return dict(rows.annotate(count=Count("pk")))


def last_events(run: Run) -> list[RunEvent]:
    """The newest lines of the run's log, oldest first."""
    return list(reversed(run.events.order_by("-id")[:NUM_EVENTS]))


def run_account(run: Run, *, now: datetime) -> Account:
    """The slow part, in three queries over the run's purchases and answers."""
    bought = run.purchases.order_by().aggregate(
        sent=Count("pk"),
        unpriced=Count("pk", filter=Q(bound_nano=None)),
        possibly_billed=Count("pk", filter=_is_lost(now)),
        possibly_billed_nano=Sum("bound_nano", filter=_is_lost(now), default=0),
    )
    return Account(**bought, errors=_count_errors(run), from_ledger=_count_from_ledger(run))


def _is_lost(now: datetime) -> Q:
    return Q(reply=None, expires_at__lte=now)


def _count_errors(run: Run) -> tuple[tuple[str, int], ...]:
    failures = Reply.objects.filter(purchase__run=run).exclude(
        outcome__in=(Reply.ACCEPTED, Reply.SURPLUS)
    )
    rows = failures.order_by().values_list("outcome").annotate(count=Count("pk"))
    return tuple(rows.order_by("-count", "outcome"))


def _count_from_ledger(run: Run) -> int:
    """Answers of calls that this run never had to send."""
    own = Purchase.objects.filter(run=run).values("call")
    answered = run.sample_draws.filter(completion__call__isnull=False)
    return answered.exclude(completion__call__in=own).count()


def _seconds_left(pending: int, rate: float) -> int | None:
    if not pending:
        return 0
    return math.ceil(pending / rate) if rate > 0 else None


def num_wanted(run: Run) -> int | None:
    """How many sample draws a run that has just been made will take, None where all are."""
    return None if run.sample_limit is None else run.sample_limit * run.recipe.content.num_draws
