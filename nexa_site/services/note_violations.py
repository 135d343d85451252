"""Count what browsers report to have stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from django.db.models import F
from django.urls import Resolver404, resolve

from nexa_site.logic.policy_reports import OTHER, Violation
from nexa_site.models import PolicyViolation

MAX_ROWS = 500
"""Kinds of violation kept apart; what comes beyond them is counted in one row."""
REST = Violation(directive=OTHER, blocked=OTHER, path="", source="")


def note_violations(violations: Iterable[Violation], *, now: datetime) -> None:
    """Add each violation to the row of its kind: directive, blocked host and page.

    A page is known by the pattern of its address: those of all completions are one. Anybody may
    report anything, so the table never grows far beyond `MAX_ROWS`, however much is sent.
    """
    for violation, times in Counter(violations).items():
        if _count(violation, times, now=now):
            continue
        if PolicyViolation.objects.count() < MAX_ROWS:
            _add(violation, times, now=now)
        elif not _count(REST, times, now=now):
            _add(REST, times, now=now)


def _kind(violation: Violation) -> dict[str, str]:
    return {
        "directive": violation.directive,
        "blocked": violation.blocked,
        "page": _pattern(violation.path),
    }


def _count(violation: Violation, times: int, *, now: datetime) -> bool:
    """Whether there is a row for it, which has now been counted up."""
    row = PolicyViolation.objects.filter(**_kind(violation))
    last = {"last_path": violation.path, "last_source": violation.source, "last_at": now}
    return bool(row.update(times=F("times") + times, **last))


def _add(violation: Violation, times: int, *, now: datetime) -> None:
    row = PolicyViolation(
        **_kind(violation),
        times=times,
        last_path=violation.path,
        last_source=violation.source,
        first_at=now,
        last_at=now,
    )
    # Two reports of the same at once make one row; the second is not counted.
    PolicyViolation.objects.bulk_create([row], ignore_conflicts=True)


def _pattern(path: str) -> str:
    try:
        return f"/{resolve(path).route}"[:200]
    except Resolver404:
        return ""
