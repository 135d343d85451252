"""Who asks the API in tests, and what the workers would do."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from rest_framework.test import APIClient

from nexa_site.services.create_token import create_token

Enqueued = list[tuple[Any, ...]]


def client_of(user: User) -> APIClient:
    """A client that sends a new token of this person."""
    _, text = create_token(user=user, name="test", days=1)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    return client


def work_off(enqueued: Enqueued) -> None:
    """Do what the workers would do, also what follows from it."""
    while enqueued:
        function, *arguments = enqueued.pop(0)
        function(*arguments)
