"""The life of a run as people move it: made, stopped, resumed. Its shifts take it from there.

    queued ─► running ─► done                           stopped, failed, done ─► queued (resume)
                 └─► stopping ─► stopped | failed

Every change is a conditional update whose row count is looked at (invariant 6).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from distill.logic.errors import DistillError, FailureKind, InputError
from distill.logic.plans import PLANS
from distill.logic.prices import TokenPrice
from distill.logic.reasons import Reason, in_order
from distill.models import Dataset, Recipe, Run, RunEvent, SampleDraw
from distill.queries.prices import prices_by_name, table_of
from distill.queries.runs import models_of
from distill.services.chunks import reopen_chunks
from distill.services.price_lists import current_price_list
from distill.services.raise_budget import raise_budget
from distill.teachers.registry import is_free

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MOST_WORKERS = 64
"""So many workers may share a run."""

TAKEN_OVER = "Another worker has taken over what this one had."


class LeaseLostError(DistillError):
    """Another worker has taken over; this one must write nothing more."""


def create_run(
    *,
    dataset: Dataset,
    recipe: Recipe,
    kind: str,
    sample_limit: int | None = None,
    budget_nano: int | None = None,
    rejected_by: str = Run.RejectedBy.ANYBODY,
    reasons: Collection[Reason] = (),
    workers: int = 1,
    user: User | None = None,
) -> Run:
    """Make a queued run; nothing is asked yet. `budget_nano` is in 1e-9 USD.

    So many `workers` shall share it, and its recipe's slots.

    A regeneration takes up what was rejected by whom `rejected_by` says, for one of the `reasons`
    (any, where none is given). Raises InputError where a model that costs money would be asked
    without any limit, or where a budget is given and a price is not known.
    """
    price_list = current_price_list()
    prices = prices_by_name(recipe.content, table_of(price_list))
    _refuse_unlimited(recipe, prices, kind, sample_limit, budget_nano)
    return Run.objects.create(
        price_list=price_list,
        dataset=dataset,
        recipe=recipe,
        kind=kind,
        sample_limit=sample_limit,
        budget_nano=budget_nano,
        rejected_by=rejected_by,
        reasons=in_order(reasons),
        workers=workers,
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
    workers: int = 1,
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
            workers=workers,
        )
    Run.objects.filter(id=run.id).update(workers=workers)
    if budget_nano is not None:
        raise_budget(run_id=run.id, budget_nano=budget_nano)
    resume_run(run_id=run.id)
    return Run.objects.select_related("recipe").get(id=run.id)


def _refuse_unlimited(
    recipe: Recipe,
    prices: Mapping[str, TokenPrice | None],
    kind: str,
    sample_limit: int | None,
    budget_nano: int | None,
) -> None:
    for name in models_of(recipe.document, kind):
        if budget_nano is not None and prices[name] is None:
            raise InputError(
                f"A budget needs the price of {name}: add it to the prices (the page “Prices”, or "
                f"manage.py prices), or to recipe {recipe} "
                "(price: input_per_million, output_per_million)."
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
    return bool(
        run.filter(state=Run.State.RUNNING).update(
            state=Run.State.STOPPING, ending=Run.State.STOPPED, message="Stopped on request."
        )
    )


def resume_run(*, run_id: int) -> bool:
    """Queue an ended run again; what failed for a passing reason is tried again.

    False if the run is still active. The ledger answers what it has answered before.
    """
    ended = [Run.State.STOPPED, Run.State.FAILED, Run.State.DONE]
    with transaction.atomic():
        if not Run.objects.filter(id=run_id, state__in=ended).update(
            state=Run.State.QUEUED, message="", ending="", finished_at=None
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
    failed.update(
        state=SampleDraw.State.PENDING, failure_kind="", failure_message="", failure_attempts=0
    )
    reopen_chunks(run=run)
