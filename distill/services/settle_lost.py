"""Settle what was possibly billed: a person has looked up what the provider took for it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from distill.logic.errors import InputError
from distill.logic.prices import usd
from distill.models import Reply, Run, RunEvent
from distill.queries.money import LOST, run_money

if TYPE_CHECKING:
    from django.contrib.auth.models import User

_SETTLE = f"""
WITH lost AS (
    SELECT p.id, p.call_id, p.bound_nano, coalesce(p.bound_nano, 1)::numeric AS weight
      FROM distill_purchase p
      LEFT JOIN distill_reply r ON r.purchase_id = p.id
      LEFT JOIN distill_shift s ON s.id = p.shift_id
     WHERE p.run_id = %(run)s AND {LOST}
), laid AS (
    SELECT *, sum(weight) OVER (ORDER BY id) AS upto, sum(weight) OVER () AS total FROM lost
), settled AS (
    INSERT INTO distill_reply
           (purchase_id, call_id, outcome, message, raw, cost_nano, latency_ms, created_at)
    SELECT id, call_id, %(outcome)s, %(message)s, ''::bytea,
           CASE WHEN %(amount)s::bigint IS NULL THEN bound_nano
                WHEN total = 0 THEN 0
                ELSE div(%(amount)s * upto, total) - div(%(amount)s * (upto - weight), total) END,
           0, %(now)s
      FROM laid ORDER BY id
    ON CONFLICT (purchase_id) DO NOTHING
    RETURNING purchase_id, cost_nano
)
SELECT count(*), coalesce(sum(settled.cost_nano), 0), coalesce(sum(lost.bound_nano), 0)
  FROM settled JOIN lost ON lost.id = settled.purchase_id
"""  # noqa: S608 - LOST is a constant
"""An amount is shared out by upper bounds: the parts up to each purchase are rounded down, so that
all of them add up to it. A late reply of the same purchase and this one exclude each other."""


@dataclass(frozen=True, slots=True)
class Settled:
    """How many purchases were settled, and for how much in all (1e-9 USD)."""

    purchases: int
    nano: int


def settle_lost(*, run_id: int, amount_nano: int | None, user: User | None = None) -> Settled:
    """Book what a run's possibly billed purchases cost; what was reserved for them is free again.

    `amount_nano` is what the provider billed for all of them together: None for each at its upper
    bound, 0 for nothing; another amount is shared out by their bounds. Only purchases that nobody
    can answer any more are touched, each once: a second call settles none. Raises InputError for an
    amount that is more than their upper bounds.
    """
    _refuse_too_much(run_id, amount_nano)
    who = f" by {user.get_username()}" if user else ""
    given: dict[str, str | int | dt.datetime | None] = {
        "run": run_id,
        "now": timezone.now(),
        "amount": amount_nano,
        "outcome": Reply.SETTLED,
        "message": f"No reply came; settled{who}.",
    }
    with transaction.atomic():
        with connection.cursor() as cursor:
            # Calls are locked before the run, as buying does it, not when this is committed.
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute(_SETTLE, given)
            num, spent, released = (int(number) for number in cursor.fetchone())
        if num:
            # The run last: its row is what all its workers want.
            Run.objects.filter(id=run_id).update(
                spent_nano=F("spent_nano") + spent, reserved_nano=F("reserved_nano") - released
            )
            RunEvent.objects.create(
                run_id=run_id,
                message=f"{num:,} possibly billed requests were settled at {usd(spent)}{who}.",
            )
    return Settled(num, spent)


def _refuse_too_much(run_id: int, amount_nano: int | None) -> None:
    lost = run_money(Run.objects.get(id=run_id), now=timezone.now()).lost
    if amount_nano and lost.purchases and not lost.unpriced and amount_nano > lost.nano:
        raise InputError(
            f"{lost.purchases:,} requests were possibly billed, {usd(lost.nano)} at most: "
            f"{usd(amount_nano)} is more than they can have cost."
        )
