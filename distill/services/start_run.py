"""Start a run: save what it does as a recipe, and make it, once."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import QuerySet

from distill.logic.errors import ConflictError
from distill.logic.reasons import Reason, in_order
from distill.logic.recipe import Recipe as RecipeContent
from distill.models import Dataset, Run
from distill.services.recipes import save_recipe
from distill.services.runs import create_run

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def start_run(
    *,
    dataset: Dataset,
    content: RecipeContent,
    kind: str,
    sample_limit: int | None = None,
    budget_nano: int | None = None,
    rejected_by: str = Run.RejectedBy.ANYBODY,
    reasons: Collection[Reason] = (),
    workers: int = 1,
    user: User | None = None,
) -> Run:
    """Make a queued run of the recipe, which is saved as a version where it is none yet.

    `budget_nano` is in 1e-9 USD. Raises ConflictError where an active run does exactly this
    already, InputError where the recipe or the limits cannot be used; then nothing is kept.
    """
    alike = Run.objects.filter(
        dataset=dataset, kind=kind, rejected_by=rejected_by, reasons=in_order(reasons)
    )
    _refuse_second(alike, content)
    # A start that is refused leaves no new version, which the next one would suggest.
    with transaction.atomic():
        recipe = save_recipe(content=content, user=user)
        return create_run(
            dataset=dataset,
            recipe=recipe,
            kind=kind,
            sample_limit=sample_limit,
            budget_nano=budget_nano,
            rejected_by=rejected_by,
            reasons=reasons,
            workers=workers,
            user=user,
        )


def _refuse_second(alike: QuerySet[Run], content: RecipeContent) -> None:
    """A second click must not start a second run that does the same."""
    same = alike.filter(recipe__name=content.name, state__in=Run.ACTIVE)
    for run in same.select_related("recipe"):
        if run.recipe.content == content:
            raise ConflictError(
                f"Run {run.pk} is doing exactly this already: wait for it, or stop it first."
            )
