"""How long a claimed slot stays with its reviewer."""

from __future__ import annotations

from datetime import datetime, timedelta

LEASE = timedelta(minutes=10)
"""Of who has decided too little to know their pace: long enough to read a pair several times."""
SHORTEST, LONGEST = timedelta(minutes=5), timedelta(minutes=30)
"""Short enough for the team to wait, long enough for the hardest passage."""
FOR_COMING_BACK = timedelta(minutes=1)
"""So long the card on screen stays one's own after leaving the page: a reload finds it again."""
HAND_SIZE = 3
"""The card on screen and two that wait behind it: nobody hoards more."""
_PACES = 3


def lease_for(median_ms: float | None) -> timedelta:
    """Three times the reviewer's median time for a decision, within `SHORTEST` and `LONGEST`."""
    if median_ms is None:
        return LEASE
    return min(max(_PACES * timedelta(milliseconds=median_ms), SHORTEST), LONGEST)


def seconds_left(*, until: datetime | None, now: datetime) -> int:
    """Whole seconds until a lease ends, never below zero."""
    return max(0, int((until - now).total_seconds())) if until else 0


def clock(seconds: int) -> str:
    """Seconds as a clock shows them: 272 → 4:32"""
    return f"{seconds // 60}:{seconds % 60:02d}"
