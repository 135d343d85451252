"""Who asks: the owner of a token that was made on the site."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Q
from django.utils import timezone
from drf_spectacular.contrib.knox_auth_token import KnoxTokenScheme
from knox.auth import TokenAuthentication
from knox.models import get_token_model
from rest_framework.exceptions import AuthenticationFailed

_USE_IS_NOTED_EVERY = timedelta(minutes=1)
_TOKEN = re.compile(rb"[0-9A-Za-z_]{16,100}")


class BearerAuthentication(TokenAuthentication):
    """`Authorization: Bearer <token>`; notes when the token was last used, to the minute."""

    def authenticate_credentials(self, token: bytes) -> tuple[User, Any]:
        # knox fails on what is no UTF-8, and PostgreSQL on a NUL.
        if not _TOKEN.fullmatch(token):
            raise AuthenticationFailed("Invalid token.")
        user, found = super().authenticate_credentials(token)
        now = timezone.now()
        long_ago = Q(last_used_at=None) | Q(last_used_at__lt=now - _USE_IS_NOTED_EVERY)
        get_token_model().objects.filter(long_ago, pk=found.pk).update(last_used_at=now)
        return user, found


class BearerScheme(KnoxTokenScheme):
    """How the schema names it."""

    target_class = "distill.api.authentication.BearerAuthentication"
    name = "token"
