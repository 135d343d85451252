"""The life of a run: made, claimed by one worker at a time, stopped, resumed, ended.

    queued ─► running ─► done | failed | stopped        stopped, failed, done ─► queued (resume)
                 └─► stopping ─► stopped

Every change is a conditional update whose row count is looked at (invariant 6).
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Case, F, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from distill.logic.errors import DistillError, FailureKind, InputError
from distill.logic.plans import PLANS
from distill.logic.reasons import Reason, in_order
from distill.models import (
    CompletionState,
    Dataset,
    Recipe,
    Run,
    RunEvent,
    Sample,
    SampleDraw,
)
from distill.queries.rejected import rejected_states
from distill.teachers.registry import is_free

if TYPE_CHECKING:
    from django.contrib.auth.models import User

LEASE = timedelta(seconds=15)
"""A worker that has not been heard of for so long has lost its run."""

TAKEN_OVER = "Another worker has taken this run over."

_BATCH = 5000

_STARTS_FROM = {
    Run.Kind.FILTER: [CompletionState.State.NEW],
    Run.Kind.JUDGE: [CompletionState.State.NEW, CompletionState.State.FILTERED],
    Run.Kind.GATE: list(CompletionState.State),
}


class LeaseLostError(DistillError):
    """Another worker has taken the run over; this one must write nothing more."""


def create_run(
    *,
    dataset: Dataset,
    recipe: Recipe,
    kind: str,
    sample_limit: int | None = None,
    budget_nano: int | None = None,
    rejected_by: str = Run.RejectedBy.ANYBODY,
    reasons: Collection[Reason] = (),
    user: User | None = None,
) -> Run:
    """Make a queued run; nothing is asked yet. `budget_nano` is in 1e-9 USD.

    A regeneration takes up what was rejected by whom `rejected_by` says, for one of the `reasons`
    (any, where none is given). Raises InputError where a model that costs money would be asked
    without any limit, or where a budget is given and a price is not known.
    """
    _refuse_unlimited(recipe, kind, sample_limit, budget_nano)
    return Run.objects.create(
        dataset=dataset,
        recipe=recipe,
        kind=kind,
        sample_limit=sample_limit,
        budget_nano=budget_nano,
        rejected_by=rejected_by,
        reasons=in_order(reasons),
        created_by=user,
    )


def continue_run(
    *,
    dataset: Dataset,
    recipe: Recipe,
    kind: str,
    sample_limit: int | None,
    budget_nano: int | None,
    fresh: bool,
    rejected_by: str = Run.RejectedBy.ANYBODY,
    reasons: Collection[Reason] = (),
) -> Run:
    """Return a queued run of exactly this work: the newest one, resumed, else a new one.

    With `fresh` an ended run is left alone and only one that was cut off is continued. Without a
    `budget_nano` the run keeps the one that it has.
    """
    run = Run.objects.filter(
        dataset=dataset,
        recipe=recipe,
        kind=kind,
        sample_limit=sample_limit,
        rejected_by=rejected_by,
        reasons=in_order(reasons),
    ).first()
    if run is None or (fresh and run.state == Run.State.DONE):
        return create_run(
            dataset=dataset,
            recipe=recipe,
            kind=kind,
            sample_limit=sample_limit,
            budget_nano=budget_nano,
            rejected_by=rejected_by,
            reasons=reasons,
        )
    if budget_nano is not None:
        _refuse_unlimited(recipe, kind, sample_limit, budget_nano)
        Run.objects.filter(id=run.id).update(budget_nano=budget_nano)
    resume_run(run_id=run.id)
    return Run.objects.select_related("recipe").get(id=run.id)


def _refuse_unlimited(
    recipe: Recipe, kind: str, sample_limit: int | None, budget_nano: int | None
) -> None:
    content, plan = recipe.content, PLANS[kind]
    asked = {judge.teacher: judge.known_price for judge in content.judges if plan.judges}
    if plan.asks or plan.regenerates:
        asked[content.teacher.name] = content.teacher.known_price
    for name, price in asked.items():
        if budget_nano is not None and price is None and not is_free(name):
            raise InputError(
                f"A budget needs the price of {name}: set it in recipe {recipe} "
                f"(price: input_per_million, output_per_million)."
            )
        if sample_limit is None and budget_nano is None and not is_free(name):
            raise InputError(
                f"{name} costs money: set a sample limit or a budget "
                "(in commands --max-samples or --budget)."
            )


def request_stop(*, run_id: int) -> bool:
    """Ask a run to stop; what is in flight is still stored. False if it was not active."""
    run = Run.objects.filter(id=run_id)
    if run.filter(state=Run.State.QUEUED).update(
        state=Run.State.STOPPED, finished_at=timezone.now(), message="Stopped before it began."
    ):
        return True
    return bool(run.filter(state=Run.State.RUNNING).update(state=Run.State.STOPPING))


def resume_run(*, run_id: int) -> bool:
    """Queue an ended run again; what failed for a passing reason is tried again.

    False if the run is still active. The ledger answers what it has answered before.
    """
    ended = [Run.State.STOPPED, Run.State.FAILED, Run.State.DONE]
    with transaction.atomic():
        if not Run.objects.filter(id=run_id, state__in=ended).update(
            state=Run.State.QUEUED, message="", finished_at=None, lease_token=None
        ):
            return False
        _take_up_failed(Run.objects.get(id=run_id))
        RunEvent.objects.create(run_id=run_id, message="Resumed.")
    return True


def _take_up_failed(run: Run) -> None:
    """Put what failed for a passing reason back where its work began.

    Where a run asks for first attempts, a sample × draw fails with its latest one in hand; begun
    from there, that one would count as the attempt before the first.
    """
    failed = SampleDraw.objects.filter(
        run=run,
        state=SampleDraw.State.FAILED,
        failure_kind__in=[kind for kind in FailureKind if kind.is_retryable],
    )
    if PLANS[run.kind].asks:
        failed.update(completion=None)
    failed.update(state=SampleDraw.State.PENDING, failure_kind="", failure_message="")


def claim_run(*, run_id: int) -> uuid.UUID | None:
    """Take a run whose worker is not heard of; return the lease's token, None if it is held."""
    token = uuid.uuid4()
    now = timezone.now()
    unheld = Q(lease_token=None) | Q(heartbeat_at__lt=now - LEASE)
    begun = When(state=Run.State.QUEUED, then=Value(Run.State.RUNNING))
    claimed = Run.objects.filter(unheld, id=run_id, state__in=Run.ACTIVE).update(
        lease_token=token,
        heartbeat_at=now,
        state=Case(begun, default=F("state")),
        started_at=Coalesce("started_at", now),
    )
    return token if claimed else None


def beat(*, run_id: int, token: uuid.UUID, pulse: dict[str, object]) -> str | None:
    """Renew the lease and tell how things are. Return the run's state, None if the lease is lost."""
    mine = Run.objects.filter(id=run_id, lease_token=token)
    if not mine.update(heartbeat_at=timezone.now(), pulse=pulse):
        return None
    return mine.values_list("state", flat=True).first()


@contextmanager
def holding(*, run_id: int, token: uuid.UUID) -> Iterator[None]:
    """One transaction during which the run cannot be taken over.

    Raises LeaseLostError, before anything is written, where it has been.
    """
    with transaction.atomic():
        mine = Run.objects.select_for_update(no_key=True).filter(id=run_id, lease_token=token)
        if not list(mine.values_list("id", flat=True)):
            raise LeaseLostError(TAKEN_OVER)
        yield


def release_run(*, run_id: int, token: uuid.UUID, state: str, message: str = "") -> bool:
    """End this worker's part: an ended state, or QUEUED for the next step to go on."""
    active = state in Run.ACTIVE
    return bool(
        Run.objects.filter(id=run_id, lease_token=token).update(
            state=state,
            message=message,
            lease_token=None,
            pulse={},
            finished_at=None if active else timezone.now(),
        )
    )


def populate_run(*, run: Run, on_batch: Callable[[], None]) -> None:
    """Write down, once, which sample × draws the run is about; about 40 s for a million.

    `on_batch` is called between batches, to renew the lease.
    """
    if run.is_populated:
        return
    rows = _fresh_rows(run) if PLANS[run.kind].asks else _rows_of_completions(run)
    while batch := list(itertools.islice(rows, _BATCH)):
        SampleDraw.objects.bulk_create(batch, ignore_conflicts=True)
        on_batch()
    run.is_populated = True
    run.save(update_fields=["is_populated"])


def _fresh_rows(run: Run) -> Iterator[SampleDraw]:
    samples = Sample.objects.filter(dataset=run.dataset_id).order_by("id")
    draws = range(run.recipe.content.teacher.draws)
    for sample_id in samples.values_list("id", flat=True)[: run.sample_limit].iterator(_BATCH):
        for draw in draws:
            yield SampleDraw(run=run, sample_id=sample_id, draw=draw)


def _rows_of_completions(run: Run) -> Iterator[SampleDraw]:
    states = _states_to_start_from(run)
    # Ids alone: the cursor holds all of them before the first is read.
    found = states.order_by("completion").values_list(
        "completion", "completion__sample", "completion__draw", "verdict"
    )
    for completion_id, sample_id, draw, verdict_id in found[: run.sample_limit].iterator(_BATCH):
        yield SampleDraw(
            run=run,
            sample_id=sample_id,
            draw=draw,
            completion_id=completion_id,
            verdict_id=verdict_id,
        )


def _states_to_start_from(run: Run) -> QuerySet[CompletionState]:
    if run.kind == Run.Kind.REGENERATE:
        return rejected_states(
            dataset_id=run.dataset_id,
            config=run.recipe.content.regeneration,
            rejected_by=run.rejected_by,
            reasons=[Reason(code) for code in run.reasons],
        )
    return CompletionState.objects.filter(
        dataset=run.dataset_id, is_open=True, state__in=_STARTS_FROM[Run.Kind(run.kind)]
    )


def stale_runs() -> list[int]:
    """Return the active runs that no worker holds, oldest first."""
    unheld = Q(lease_token=None) | Q(heartbeat_at__lt=timezone.now() - LEASE)
    return list(
        Run.objects.filter(unheld, state__in=Run.ACTIVE).order_by("id").values_list("id", flat=True)
    )
