"""Reads of the recipe pages."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from distill.logic.recipe import Recipe as RecipeContent
from distill.logic.recipe import default_recipe, dump_recipe, recipe_hash
from distill.models import Recipe, Run

_MOST_DIGITS = 9


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


def version_before(recipe: Recipe, number: str = "") -> Recipe | None:
    """The version to compare with: the one of that number, else the one before, None for the first."""
    others = Recipe.objects.filter(name=recipe.name).exclude(pk=recipe.pk).order_by("-version")
    if number.isdecimal() and len(number) <= _MOST_DIGITS:
        return others.filter(version=int(number)).first()
    return others.filter(version__lt=recipe.version).first()


def diff(before: RecipeContent, after: RecipeContent) -> list[DiffLine]:
    """What differs between two recipes as YAML, with two lines around; empty where nothing does."""
    return diff_texts(dump_recipe(before), dump_recipe(after))


def diff_texts(before: str, after: str) -> list[DiffLine]:
    """What differs between two documents, with two lines around; empty where nothing does."""
    old, new = before.splitlines(), after.splitlines()
    lines = difflib.unified_diff(old, new, lineterm="", n=2)
    return [_diff_line(line) for line in list(lines)[2:]]


@dataclass(frozen=True, slots=True)
class Forecast:
    """What saving a recipe would do: the version that it is already, or the one that it makes."""

    name: str
    version: int
    is_known: bool
    num_changed: int
    """Lines that differ from the newest version; of a first one none."""


def forecast(content: RecipeContent) -> Forecast:
    """What would come of saving this."""
    versions = Recipe.objects.filter(name=content.name).order_by("-version")
    if same := versions.filter(sha256=recipe_hash(content)).first():
        return Forecast(content.name, same.version, is_known=True, num_changed=0)
    newest = versions.first()
    if newest is None:
        return Forecast(content.name, 1, is_known=False, num_changed=0)
    changed = [line for line in diff(newest.content, content) if line.kind in ("added", "removed")]
    return Forecast(content.name, newest.version + 1, is_known=False, num_changed=len(changed))


def _diff_line(line: str) -> DiffLine:
    if line.startswith("@@"):
        return DiffLine("place", line)
    kinds: dict[str, Literal["added", "removed", "same"]] = {"+": "added", "-": "removed"}
    return DiffLine(kinds.get(line[:1], "same"), line[1:])
