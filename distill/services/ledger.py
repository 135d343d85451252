"""The ledger (invariant 1): what was bought, and what came back for it.

A purchase is committed, with its budget reserved, before its request leaves; a reply is committed
as it arrived, with its cost settled, before anybody parses it.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Max, Q

from distill.logic.errors import TeacherError
from distill.logic.prices import TokenPrice, actual_nano
from distill.logic.storable import storable
from distill.logic.types import Reply, Request
from distill.models import Call, Purchase, Run
from distill.models import Reply as ReplyRow


@dataclass(frozen=True, slots=True)
class Wish:
    """A request that somebody wants answered. `bound_nano`: its cost at most, None if unpriced."""

    key: bytes
    request: Request
    price: TokenPrice | None
    bound_nano: int | None


@dataclass(frozen=True, slots=True)
class Bought:
    """A committed purchase: the request must be sent now, once."""

    purchase_id: int
    call_id: int


@dataclass(frozen=True, slots=True)
class Known:
    """The ledger holds the accepted reply already; nothing is sent, nothing is spent."""

    call_id: int
    raw: bytes
    latency_ms: int


@dataclass(frozen=True, slots=True)
class Busy:
    """Another run has this call in flight until `until` at most."""

    until: datetime


@dataclass(frozen=True, slots=True)
class OverBudget:
    """The run's budget does not cover this request's upper bound."""


Answer = Bought | Known | Busy | OverBudget


def buy(
    *, run_id: int, wishes: Sequence[Wish], now: datetime, deadline: timedelta
) -> dict[bytes, Answer]:
    """Answer each wish from the ledger, or commit a purchase for it. Keys must be distinct.

    `deadline` is how long a request may take at most; a purchase of another run that is older
    without a reply counts as lost, and is bought again. Purchases of the same run are the caller's
    own: it holds the run's lease, so those without a reply are of a process that has died.
    """
    with transaction.atomic():
        calls = _lock_calls(wishes)
        known = _accepted_replies(calls)
        last = _last_purchases(calls, skip=known.keys())
        answers: dict[bytes, Answer] = {}
        wanted: list[Wish] = []
        for wish in wishes:
            call_id = calls[wish.key]
            purchase = last.get(call_id)
            if call_id in known:
                answers[wish.key] = known[call_id]
            elif purchase and purchase.run_id != run_id and purchase.expires_at > now:
                answers[wish.key] = Busy(until=purchase.expires_at)
            else:
                wanted.append(wish)
        covered = _reserve(run_id, wanted)
        for wish in wanted[covered:]:
            answers[wish.key] = OverBudget()
        answers |= _purchase(run_id, wanted[:covered], calls, expires_at=now + deadline)
    return answers


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came back for a purchase."""

    purchase_id: int
    call_id: int
    wish: Wish
    outcome: Reply | TeacherError


def settle(*, run_id: int, deliveries: Sequence[Delivery]) -> None:
    """Commit what arrived, raw, and move its cost from reserved to spent.

    A failure after which the provider may bill costs its upper bound, others nothing. A second
    good reply to one call is kept as "surplus".
    """
    with transaction.atomic():
        # The run before its calls, as in a step's other transactions.
        list(Run.objects.select_for_update(no_key=True).filter(id=run_id).values_list("id"))
        call_ids = sorted({delivery.call_id for delivery in deliveries})
        list(Call.objects.select_for_update().filter(id__in=call_ids).order_by("id"))
        accepted = set(
            ReplyRow.objects.filter(call__in=call_ids, outcome=ReplyRow.ACCEPTED).values_list(
                "call_id", flat=True
            )
        )
        rows = [_reply_row(delivery, accepted) for delivery in deliveries]
        ReplyRow.objects.bulk_create(rows)
        released = sum(delivery.wish.bound_nano or 0 for delivery in deliveries)
        spent = sum(row.cost_nano or 0 for row in rows)
        if released or spent:
            Run.objects.filter(id=run_id).update(
                reserved_nano=F("reserved_nano") - released, spent_nano=F("spent_nano") + spent
            )


def _lock_calls(wishes: Sequence[Wish]) -> dict[bytes, int]:
    """Return the id of each wish's call, made where new, locked in one order."""
    Call.objects.bulk_create(
        [
            Call(key=wish.key, teacher=wish.request.teacher, draw=wish.request.draw)
            for wish in sorted(wishes, key=lambda wish: wish.key)
        ],
        ignore_conflicts=True,
    )
    rows = Call.objects.select_for_update().filter(key__in=[wish.key for wish in wishes])
    return {bytes(call.key): call.id for call in rows.order_by("id")}


def _accepted_replies(calls: dict[bytes, int]) -> dict[int, Known]:
    rows = ReplyRow.objects.filter(call__in=calls.values(), outcome=ReplyRow.ACCEPTED)
    return {
        call_id: Known(call_id=call_id, raw=bytes(raw), latency_ms=latency_ms)
        for call_id, raw, latency_ms in rows.values_list("call_id", "raw", "latency_ms")
    }


def _last_purchases(calls: dict[bytes, int], *, skip: Container[int]) -> dict[int, Purchase]:
    """Return each call's newest purchase that has no reply yet."""
    open_purchases = Purchase.objects.filter(
        call__in=[call_id for call_id in calls.values() if call_id not in skip],
        reply__isnull=True,
    )
    return {purchase.call_id: purchase for purchase in open_purchases.order_by("number")}


def _reserve(run_id: int, wishes: Sequence[Wish]) -> int:
    """Reserve the upper bounds of as many wishes, in order, as the budget covers; say how many."""
    bounds = [wish.bound_nano or 0 for wish in wishes]
    if not any(bounds):
        return len(wishes)
    run = Run.objects.select_for_update().get(id=run_id)
    covered, total = len(wishes), sum(bounds)
    if run.budget_nano is not None:
        left = run.budget_nano - run.spent_nano - run.reserved_nano
        while total > left:
            covered -= 1
            total -= bounds[covered]
    within = Q(budget_nano=None) | Q(budget_nano__gte=F("spent_nano") + F("reserved_nano") + total)
    Run.objects.filter(within, id=run_id).update(reserved_nano=F("reserved_nano") + total)
    return covered


def _purchase(
    run_id: int, wishes: Sequence[Wish], calls: dict[bytes, int], *, expires_at: datetime
) -> dict[bytes, Answer]:
    numbers = dict(
        Purchase.objects.filter(call__in=[calls[wish.key] for wish in wishes])
        .values_list("call_id")
        .annotate(Max("number"))
    )
    rows = Purchase.objects.bulk_create(
        [
            Purchase(
                call_id=calls[wish.key],
                number=numbers.get(calls[wish.key], 0) + 1,
                run_id=run_id,
                bound_nano=wish.bound_nano,
                expires_at=expires_at,
            )
            for wish in wishes
        ]
    )
    return {
        wish.key: Bought(purchase_id=row.id, call_id=row.call_id)
        for wish, row in zip(wishes, rows, strict=True)
    }


def _reply_row(delivery: Delivery, accepted: set[int]) -> ReplyRow:
    """Build the row to commit; `accepted` grows by what it accepts."""
    outcome, wish = delivery.outcome, delivery.wish
    row = ReplyRow(
        purchase_id=delivery.purchase_id,
        call_id=delivery.call_id,
        raw=outcome.raw,
        latency_ms=outcome.latency_ms,
    )
    if isinstance(outcome, TeacherError):
        row.outcome, row.status = outcome.kind, outcome.status
        row.message = storable(str(outcome))
        row.cost_nano = wish.bound_nano if outcome.kind.may_be_billed else 0
        return row
    row.outcome = ReplyRow.SURPLUS if delivery.call_id in accepted else ReplyRow.ACCEPTED
    accepted.add(delivery.call_id)
    row.cost_nano = wish.bound_nano
    if outcome.usage is not None:
        row.prompt_tokens = outcome.usage.prompt_tokens
        row.completion_tokens = outcome.usage.completion_tokens
        row.cost_nano = actual_nano(wish.price, outcome.usage)
    return row
