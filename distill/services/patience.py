"""Waiting for a database that is being started again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection

PATIENCE_SECONDS = 30.0
_PAUSE_SECONDS = 0.5
GONE = (OperationalError, InterfaceError)

Result = TypeVar("Result")


def persist(write: Callable[[], Result]) -> Result:
    """Call `write`, again over a new connection where the database was gone, for half a minute.

    `write` may have been committed when its connection broke: twice must be harmless.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return write()
        except GONE:
            connection.close()
            if time.monotonic() > until:
                raise
            time.sleep(_PAUSE_SECONDS)
