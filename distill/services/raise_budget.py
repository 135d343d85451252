"""Give a run another budget, also while it is working."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import F, Value

from distill.logic.errors import InputError
from distill.logic.prices import usd
from distill.models import Run, RunEvent
from distill.queries.prices import prices_of, unpriced
from distill.queries.runs import models_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def raise_budget(*, run_id: int, budget_nano: int, user: User | None = None) -> bool:
    """Set a run's budget, in 1e-9 USD; False if it was that already. The run is not resumed.

    It may be lower than the one before, but not below what is spent and reserved. Raises InputError
    then, and where the run knows no price of a model that it asks.
    """
    run = Run.objects.select_related("recipe", "price_list").get(id=run_id)
    _refuse_unpriced(run)
    with transaction.atomic():
        before = Run.objects.select_for_update().get(id=run_id).budget_nano
        if before == budget_nano:
            return False
        covered = Run.objects.alias(taken=F("spent_nano") + F("reserved_nano")).filter(
            id=run_id, taken__lte=Value(budget_nano)
        )
        if not covered.update(budget_nano=budget_nano):
            raise InputError(_too_low(run_id))
        told = f"Budget set to {usd(budget_nano)}"
        told += f", it was {usd(before)}" if before is not None else ", there was none"
        told += f"; by {user.get_username()}." if user else "."
        RunEvent.objects.create(run_id=run_id, message=told)
    return True


def _refuse_unpriced(run: Run) -> None:
    names = unpriced(prices_of(run), models_of(run.recipe.document, run.kind))
    if names:
        raise InputError(
            f"A budget needs the price of {' and '.join(names)}, which this run does not know: "
            "add it to the prices or to the recipe, then start a new run."
        )


def _too_low(run_id: int) -> str:
    run = Run.objects.get(id=run_id)
    return (
        f"{usd(run.spent_nano)} are spent and {usd(run.reserved_nano)} reserved for what was "
        f"sent: the budget must be at least {usd(run.spent_nano + run.reserved_nano)}."
    )
