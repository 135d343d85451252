"""When today began."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone


def midnight() -> datetime:
    """Of the site's own time zone."""
    return timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
