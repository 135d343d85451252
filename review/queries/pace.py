"""How fast a person decides."""

from __future__ import annotations

from datetime import timedelta
from statistics import median

from django.contrib.auth.models import User

from distill.models import Decision
from review.logic.leases import lease_for

_LOOKED_AT, _FEWEST = 50, 10


def median_ms(reviewer: User) -> float | None:
    """The median active time of the last decisions, in milliseconds; None where there are too few."""
    last = Decision.objects.filter(reviewer=reviewer, active_ms__isnull=False).order_by("-id")
    times = [int(ms) for ms in last.values_list("active_ms", flat=True)[:_LOOKED_AT] if ms]
    return median(times) if len(times) >= _FEWEST else None


def lease_of(reviewer: User) -> timedelta:
    """How long a card is given to this person."""
    return lease_for(median_ms(reviewer))
