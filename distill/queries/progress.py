"""How a run is doing: what its page asks for every two seconds, and its account, asked less often."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Exists, OuterRef, Q, Sum

from distill.logic.errors import FailureKind
from distill.logic.plans import PLANS
from distill.models import Purchase, Reply, Run, RunEvent, SampleDraw

NUM_EVENTS = 200
QUIET_AFTER = timedelta(seconds=30)
"""A running worker says something every second; silent for so long, it is probably gone."""

_State = SampleDraw.State


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run's sample draws are, and what its worker last said."""

    by_state: dict[str, int]
    is_counting: bool
    """Its sample draws are still being written down, so that `total` grows."""
    in_flight: int
    slots: int
    replies_per_s: float
    retries: int
    waiting: int
    """Requests that wait for their next try, or for another run's answer."""
    seconds_left: int | None
    """None while nobody can tell."""
    is_quiet: bool
    """The run is running, but its worker has said nothing for a while."""
    is_untaken: bool
    """The run is queued for a while, and no worker has ever taken it."""
    may_retry: bool
    """It has ended, and some of what failed would be tried again if it were resumed."""

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
    """So many sample draws that failed in one way, and the last message that said so."""

    kind: str
    count: int
    message: str


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
    """The fast part, in one index-only query, and one more when the run has ended."""
    by_state = count_states(run)
    pulse = run.pulse if run.is_active else {}
    rate = float(pulse.get("replies_per_s") or 0)
    beat = run.heartbeat_at or run.started_at
    return Progress(
        by_state=by_state,
        is_counting=run.is_active and not run.is_populated,
        in_flight=int(pulse.get("in_flight") or 0),
        slots=int(pulse.get("slots") or 0),
        replies_per_s=rate,
        retries=int(pulse.get("retries") or 0),
        waiting=int(pulse.get("waiting") or 0),
        seconds_left=_seconds_left(by_state.get(_State.PENDING, 0), rate, run),
        is_quiet=run.state == Run.State.RUNNING and (not beat or now - beat > QUIET_AFTER),
        is_untaken=run.state == Run.State.QUEUED
        and run.started_at is None
        and now - run.created_at > QUIET_AFTER,
        may_retry=not run.is_active and _has_passing_failures(run),
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
    counts = failed.order_by().values_list("failure_kind").annotate(count=Count("pk"))
    messages = failed.order_by("failure_kind", "-pk").distinct("failure_kind")
    said = dict(messages.values_list("failure_kind", "failure_message"))
    rows = [FailedKind(kind or "unknown", count, said[kind]) for kind, count in counts]
    return sorted(rows, key=lambda row: (-row.count, row.kind))


def last_events(run: Run) -> list[RunEvent]:
    """The last lines of the run's log, newest first."""
    return list(run.events.order_by("-id")[:NUM_EVENTS])


def run_account(run: Run, *, now: datetime) -> Account:
    """The slow part, in two queries over the run's purchases and answers."""
    is_over = Q(expires_at__lte=now)
    bought = list(
        run.purchases.order_by()
        .values_list("reply__outcome")
        .annotate(
            sent=Count("pk"),
            unpriced=Count("pk", filter=Q(bound_nano=None)),
            over=Count("pk", filter=is_over),
            over_nano=Sum("bound_nano", filter=is_over, default=0),
        )
    )
    lost = [row for row in bought if row[0] is None]
    failed = [row for row in bought if row[0] not in {None, Reply.ACCEPTED, Reply.SURPLUS}]
    errors = [(outcome, sent) for outcome, sent, *_ in failed]
    return Account(
        sent=sum(row[1] for row in bought),
        unpriced=sum(row[2] for row in bought),
        errors=tuple(sorted(errors, key=lambda error: (-error[1], error[0]))),
        possibly_billed=sum(row[3] for row in lost),
        possibly_billed_nano=sum(row[4] for row in lost),
        from_ledger=_count_from_ledger(run),
    )


def _count_from_ledger(run: Run) -> int:
    """Answers of calls that this run never had to send."""
    # EXISTS becomes a join; NOT IN would look through all purchases for each answer.
    own = Purchase.objects.filter(run=run, call=OuterRef("completion__call"))
    answered = run.sample_draws.filter(completion__call__isnull=False)
    return answered.filter(~Exists(own)).count()


def _seconds_left(pending: int, rate: float, run: Run) -> int | None:
    """A sample draw needs a reply of the teacher and one of each judge, as the kind of run says."""
    if not pending or rate <= 0 or not run.is_populated:
        return None
    plan = PLANS[run.kind]
    judges = len(run.recipe.document["judges"]) if plan.judges else 0
    return math.ceil(pending * max(1, plan.asks + judges) / rate)
