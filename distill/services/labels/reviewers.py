"""The people behind the pseudonyms of label files: accounts that nobody can use."""

from __future__ import annotations

from django.contrib.auth.models import User

from distill.logic.label_lines import LabelLineError


def reviewer_named(pseudonym: str) -> User:
    """The inactive account of a pseudonym, made where there is none.

    Raises LabelLineError where somebody works here under that name: nobody speaks for them.
    """
    user, is_new = User.objects.get_or_create(username=pseudonym, defaults={"is_active": False})
    if is_new:
        user.set_unusable_password()
        user.save(update_fields=["password"])
    if user.is_active:
        raise LabelLineError("reviewer", f"There is an account in use named {pseudonym}.")
    return user
