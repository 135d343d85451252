"""Make a token for the API."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.auth.models import User

from distill.logic.errors import InputError
from nexa_site.models import ApiToken

MAX_DAYS = 365
MAX_TOKENS = 50
"""Of one person: knox looks at all of them with each request."""


def create_token(*, user: User, name: str, days: int) -> tuple[ApiToken, str]:
    """Make a token that ends after so many days; return it with its text, which is kept nowhere.

    Raises InputError for a user who is not active, a number of days that is not allowed, or one
    token too many.
    """
    if not user.is_active:
        raise InputError(f"{user.get_username()} is not active: no token was made.")
    if not 1 <= days <= MAX_DAYS:
        raise InputError(f"A token lasts 1 to {MAX_DAYS} days, not {days}.")
    if ApiToken.objects.filter(user=user).count() >= MAX_TOKENS:
        raise InputError(f"There are {MAX_TOKENS} tokens already: revoke one first.")
    made: tuple[ApiToken, str] = ApiToken.objects.create(
        user, expiry=timedelta(days=days), name=name
    )
    return made
