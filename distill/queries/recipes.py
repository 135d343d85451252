"""Reads of the recipe pages."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from distill.logic.recipe import default_recipe, dump_recipe
from distill.models import Recipe, Run


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line of the difference between two versions."""

    kind: Literal["added", "removed", "same", "place"]
    text: str


def latest_recipes() -> QuerySet[Recipe]:
    """The newest version of each recipe, by name, with `num_versions` and `num_runs` of all."""
    same_name = Recipe.objects.filter(name=OuterRef("name")).order_by().values("name")
    versions = same_name.annotate(count=Count("pk", distinct=True)).values("count")
    runs = same_name.annotate(count=Count("runs")).values("count")
    return (
        Recipe.objects.order_by("name", "-version")
        .distinct("name")
        .annotate(num_versions=Coalesce(Subquery(versions), 0), num_runs=Subquery(runs))
        .select_related("created_by")
    )


def suggested_recipe(dataset_id: int | None) -> int | None:
    """The id of the recipe of the dataset's newest run, else of the built-in or first one's newest
    version: never that of whoever saved one last.
    """
    last_run = Run.objects.filter(dataset=dataset_id).order_by("-pk")
    if used := last_run.values_list("recipe", flat=True).first():
        return used
    newest = Recipe.objects.order_by("name", "-version").values_list("pk", flat=True)
    return newest.filter(name=default_recipe().name).first() or newest.first()


def versions_of(name: str) -> QuerySet[Recipe]:
    """All versions of a recipe, newest first, with `num_runs` each."""
    return (
        Recipe.objects.filter(name=name)
        .order_by("-version")
        .annotate(num_runs=Count("runs"))
        .select_related("created_by")
        .defer("document")
    )


def diff_to_previous(recipe: Recipe) -> list[DiffLine]:
    """What this version changed of the one before; empty for the first."""
    previous = (
        Recipe.objects.filter(name=recipe.name, version__lt=recipe.version)
        .order_by("-version")
        .first()
    )
    if previous is None:
        return []
    before, after = (dump_recipe(version.content) for version in (previous, recipe))
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2)
    return [_diff_line(line) for line in list(lines)[2:]]


def _diff_line(line: str) -> DiffLine:
    if line.startswith("@@"):
        return DiffLine("place", line)
    kinds: dict[str, Literal["added", "removed", "same"]] = {"+": "added", "-": "removed"}
    return DiffLine(kinds.get(line[:1], "same"), line[1:])
