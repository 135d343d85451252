"""What the tests of the API share: people with tokens, and no worker."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rest_framework.test import APIClient

from distill import tasks
from distill.http import RoleName
from tests.api.clients import Enqueued, client_of
from tests.builders import make_user


@pytest.fixture
def api(db: None) -> Callable[..., APIClient]:
    """A client for somebody with these roles."""

    def make(*roles: RoleName) -> APIClient:
        return client_of(make_user(*roles))

    return make


@pytest.fixture
def enqueued(monkeypatch: pytest.MonkeyPatch) -> Enqueued:
    """Tasks that would have gone to the workers: functions with their arguments."""
    found: Enqueued = []
    monkeypatch.setattr(tasks, "async_task", lambda *args, **options: found.append(args))
    return found
