"""Recipes: every change makes a new version; a version never changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.core.validators import validate_unicode_slug
from django.db import IntegrityError, transaction
from django.db.models import Max

from distill.logic import recipe as recipe_logic
from distill.logic.errors import ConflictError, InputError
from distill.models import Recipe
from distill.teachers.registry import canonical_name

if TYPE_CHECKING:
    from django.contrib.auth.models import User

_ATTEMPTS = 20


def save_recipe(*, content: recipe_logic.Recipe, user: User | None = None) -> Recipe:
    """Return the version of this name that holds exactly this content; make it where none does.

    Two that save at once get two versions, or the
    same one where their content is the same: the unique constraints decide who was first.
    Raises InputError where the name is no address, or a teacher is none that there is.
    """
    check_recipe(content=content)
    sha256 = recipe_logic.recipe_hash(content)
    for _attempt in range(_ATTEMPTS):
        found = Recipe.objects.filter(name=content.name, sha256=sha256).first()
        if found is not None:
            return found
        try:
            return _create_version(content, sha256, user)
        except IntegrityError:
            continue  # somebody saved a version of this name in this moment
    raise ConflictError(f"Recipe “{content.name}” is being changed by others; save it again.")


def check_recipe(*, content: recipe_logic.Recipe) -> None:
    """Raise InputError where the recipe could not be saved: its name, or a teacher's."""
    try:
        validate_unicode_slug(content.name)
    except ValidationError as error:
        raise InputError(
            f"The recipe's name “{content.name}” becomes part of an address: "
            f"use letters, digits, hyphens and underscores only."
        ) from error
    named = {"teacher.name": content.teacher.name}
    named |= {f"judges.{judge.name}.teacher": judge.teacher for judge in content.judges}
    for field, name in named.items():
        try:
            canonical_name(name)
        except InputError as error:
            raise InputError(f"The recipe “{content.name}”, {field}: {error}.") from error


def _create_version(content: recipe_logic.Recipe, sha256: str, user: User | None) -> Recipe:
    with transaction.atomic():
        last = Recipe.objects.filter(name=content.name).aggregate(last=Max("version"))["last"]
        return Recipe.objects.create(
            name=content.name,
            version=(last or 0) + 1,
            document=content.model_dump(mode="json"),
            sha256=sha256,
            created_by=user,
        )
