"""How long a claimed slot stays with its reviewer."""

from __future__ import annotations

from datetime import datetime, timedelta

LEASE = timedelta(minutes=10)
"""Long enough to read a passage and its pair several times, short enough for the team to wait."""


def seconds_left(*, until: datetime | None, now: datetime) -> int:
    """Whole seconds until a lease ends, never below zero."""
    return max(0, int((until - now).total_seconds())) if until else 0


def clock(seconds: int) -> str:
    """Seconds as a clock shows them: 272 → 4:32"""
    return f"{seconds // 60}:{seconds % 60:02d}"
