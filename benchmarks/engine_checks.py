"""What must hold of a run, whatever happened to it: asked of the database and of the server."""

from __future__ import annotations

import re
from typing import Any

from django.db import connection
from django.db.models import Count
from django.utils import timezone

from benchmarks.engine_site import Measured
from distill.models import Completion, Purchase, Reply, Run, SampleDraw
from distill.queries.money import run_money
from distill.queries.progress import count_states

_ACCEPTED = """
SELECT substring(reply.raw FROM 1 FOR 60)
FROM distill_reply AS reply JOIN distill_purchase AS purchase ON purchase.id = reply.purchase_id
WHERE purchase.run_id = %s AND reply.outcome = 'accepted'
"""
_STORED = """
SELECT reply.id, md5(reply.raw)
FROM distill_reply AS reply JOIN distill_purchase AS purchase ON purchase.id = reply.purchase_id
WHERE purchase.run_id = %s
"""
# The stub writes a request's key into the envelope's id.
_KEY = re.compile(rb"chatcmpl-([0-9a-f]{32})")


def check_places(run: Run, num_samples: int) -> Measured:
    """Invariant 3: each sample stands in one visible place, none is counted twice.

    `misplaced` counts samples that are missing, still pending, or where they stand without what
    must be there (a completion, or a failure's kind); `doubled` those with two equal attempts.
    """
    states = count_states(run)
    draws = SampleDraw.objects.filter(run=run)
    failed = draws.filter(state=SampleDraw.State.FAILED)
    resting = draws.exclude(state__in=[SampleDraw.State.FAILED, SampleDraw.State.PENDING])
    misplaced = abs(num_samples - sum(states.values()))
    misplaced += states.get(SampleDraw.State.PENDING, 0)
    misplaced += failed.filter(failure_kind="").count() + resting.filter(completion=None).count()
    attempts = Completion.objects.filter(sample__dataset=run.dataset_id)
    doubled = attempts.values("sample", "draw", "attempt").annotate(n=Count("id")).filter(n__gt=1)
    kinds = failed.order_by().values_list("failure_kind").annotate(n=Count("id"))
    return {
        "states": states,
        "failed": dict(kinds),
        "misplaced": misplaced,
        "doubled": doubled.count() + _accepted_twice(run),
    }


def _accepted_twice(run: Run) -> int:
    accepted = Reply.objects.filter(purchase__run=run, outcome=Reply.ACCEPTED)
    return accepted.values("call").annotate(n=Count("id")).filter(n__gt=1).count()


def missing_keys(run: Run, keys: dict[str, list[int]]) -> int:
    """How many requests that the server answered well have no accepted reply in the ledger."""
    with connection.cursor() as cursor:
        cursor.execute(_ACCEPTED, [run.id])
        found = [_KEY.search(bytes(head)) for (head,) in cursor.fetchall()]
    accepted = {match[1].decode() for match in found if match}
    return len({key for key, (_, _, good) in keys.items() if good} - accepted)


def stored_replies(run_id: int) -> dict[int, str]:
    """Every reply that is stored, with a hash of what came back."""
    with connection.cursor() as cursor:
        cursor.execute(_STORED, [run_id])
        return dict(cursor.fetchall())


def open_purchases(run_id: int, pids: set[int] | None = None) -> set[int]:
    """Purchases without a reply; of the worker processes `pids` alone, where given."""
    purchases = Purchase.objects.filter(run=run_id, reply__isnull=True)
    if pids is not None:
        shifts = Run.objects.get(id=run_id).shifts.filter(pid__in=pids)
        purchases = purchases.filter(shift_id__in=list(shifts.values_list("id", flat=True)))
    return set(purchases.values_list("id", flat=True))


def shown_possibly_billed(run: Run) -> int:
    """How many purchases the run's page shows as possibly billed."""
    return run_money(run, now=timezone.now()).lost.purchases


def money_of(run_id: int) -> dict[str, Any]:
    """The run's state and money as they stand."""
    run = Run.objects.only("state", "spent_nano", "reserved_nano").get(id=run_id)
    return {"state": run.state, "spent": run.spent_nano, "reserved": run.reserved_nano}
