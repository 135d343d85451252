"""Keep the settings of a what-if as a new version of the recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distill.logic.what_if import Settings
from distill.models import Recipe
from distill.queries.snapshot import base_content
from distill.services.recipes import save_recipe

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from distill.models import Dataset


def save_gate(*, dataset: Dataset, settings: Settings, user: User | None = None) -> Recipe:
    """Return the version of the dataset's recipe that has these rules and this gate.

    That is the recipe of its latest run, else the default one; the same settings give the same
    version. Raises InputError where a threshold names a dimension that the rubric does not have.
    """
    base = base_content(dataset)
    content = base.model_validate(
        base.model_dump()
        | {"rules": settings.rules.model_dump(), "gate": settings.gate.model_dump()}
    )
    return save_recipe(content=content, user=user)
