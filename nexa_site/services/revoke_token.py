"""End a token before its time."""

from __future__ import annotations

from django.contrib.auth.models import User

from nexa_site.models import ApiToken


def revoke_token(*, user: User, token_key: str) -> bool:
    """Delete the user's token with these first characters; False where it is gone already."""
    deleted, _ = ApiToken.objects.filter(user=user, token_key=token_key).delete()
    return bool(deleted)
