"""The ledger (invariant 1): what was bought, and what came back for it.

A purchase is committed, with its budget reserved, before its request leaves; a reply is committed
as it arrived, with its cost settled, before anybody parses it.

Every transaction here locks calls first, in the order of their ids, and the run last and for a
moment: workers that share a run meet in its row alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Max

from distill.engine.pool import Unsent
from distill.logic.errors import TeacherError
from distill.logic.prices import TokenPrice, actual_nano
from distill.logic.storable import storable
from distill.logic.types import Reply, Request
from distill.models import Call, Purchase
from distill.models import Reply as ReplyRow
from distill.services import shifts
from distill.services.rows import Row, change, fetch, insert_rows

_CALL = ("key", "teacher", "draw")
_PURCHASE = (
    *("call_id", "number", "run_id", "shift_id", "stage", "template_name"),
    *("bound_nano", "expires_at"),
)
_REPLY = (
    *("purchase_id", "call_id", "outcome", "status", "message", "raw"),
    *("prompt_tokens", "cached_tokens", "completion_tokens", "cost_nano", "latency_ms"),
)
_LOCK_KEYS = "SELECT id, key FROM distill_call WHERE key = ANY(%b) ORDER BY id FOR UPDATE"
_LOCK_CALLS = "SELECT id FROM distill_call WHERE id = ANY(%b) ORDER BY id FOR UPDATE"
_ACCEPTED = """
SELECT reply.call_id, reply.raw, reply.latency_ms, reply.cost_nano, purchase.run_id
FROM distill_reply AS reply JOIN distill_purchase AS purchase ON purchase.id = reply.purchase_id
WHERE reply.call_id = ANY(%b) AND reply.outcome = 'accepted'
"""
_PURCHASES = """
SELECT purchase.call_id, max(purchase.number), max(purchase.expires_at) FILTER (
    WHERE reply.id IS NULL AND purchase.expires_at > %b AND CASE
        WHEN purchase.shift_id IS NULL THEN purchase.run_id IS DISTINCT FROM %b
        ELSE purchase.shift_id IS DISTINCT FROM %b::bigint AND shift.ended_at IS NULL
            AND shift.heartbeat_at > statement_timestamp() - %b
    END)
FROM distill_purchase AS purchase
LEFT JOIN distill_reply AS reply ON reply.purchase_id = purchase.id
LEFT JOIN distill_shift AS shift ON shift.id = purchase.shift_id
WHERE purchase.call_id = ANY(%b) GROUP BY purchase.call_id
"""
_RESERVE = """
UPDATE distill_run SET reserved_nano = reserved_nano + %b,
    known_count = known_count + %b, saved_nano = saved_nano + %b
WHERE id = %b
    AND (%b = 0 OR budget_nano IS NULL OR spent_nano + reserved_nano + %b <= budget_nano)
"""
_LEFT = """
SELECT budget_nano - spent_nano - reserved_nano FROM distill_run WHERE id = %b FOR NO KEY UPDATE
"""
_SPEND = """
UPDATE distill_run SET reserved_nano = reserved_nano - %b, spent_nano = spent_nano + %b
WHERE id = %b
"""


@dataclass(frozen=True, slots=True)
class Wish:
    """A request that somebody wants answered. `bound_nano`: its cost at most, None if unpriced.

    `stage` (of `Purchase.Stage`) and `template_name` stand with the purchase, for the accounts.
    """

    key: bytes
    request: Request
    price: TokenPrice | None
    bound_nano: int | None
    stage: str = ""
    template_name: str = ""


@dataclass(frozen=True, slots=True)
class Bought:
    """A committed purchase: the request must be sent now, once."""

    purchase_id: int
    call_id: int


@dataclass(frozen=True, slots=True)
class Known:
    """The ledger holds the accepted reply already; nothing is sent, nothing is spent.

    `is_own`: this run bought it itself. `cost_nano` is what it cost then.
    """

    call_id: int
    raw: bytes
    latency_ms: int
    is_own: bool
    cost_nano: int | None


@dataclass(frozen=True, slots=True)
class Busy:
    """Another worker, or another run, has this call in flight until `until` at most."""

    until: datetime


@dataclass(frozen=True, slots=True)
class OverBudget:
    """The run's budget does not cover this request's upper bound."""


Answer = Bought | Known | Busy | OverBudget


def buy(
    *,
    run_id: int,
    shift_id: int | None = None,
    wishes: Sequence[Wish],
    now: datetime,
    deadline: timedelta,
) -> dict[bytes, Answer]:
    """Answer each wish from the ledger, or commit a purchase for it. Keys must be distinct.

    `deadline` is how long a request may take at most. A purchase without a reply keeps others from
    buying the same until it is older than that, or until the shift that sent it has ended or is
    not heard of; then it counts as lost, and is bought again. Those of one's own shift are the
    caller's; without a `shift_id`, those of one's own run are. Replies that other runs have bought
    are counted in the run, with what they had cost.
    """
    answers: dict[bytes, Answer] = {}
    wanted: list[Wish] = []
    with transaction.atomic(savepoint=False):
        calls, old = _lock_calls(wishes)
        known = _accepted_replies(old, run_id)
        numbers, busy = _last_purchases(old - known.keys(), run_id, shift_id, now)
        for wish in wishes:
            call_id = calls[wish.key]
            if call_id in known:
                answers[wish.key] = known[call_id]
            elif call_id in busy:
                answers[wish.key] = Busy(until=busy[call_id])
            else:
                wanted.append(wish)
        covered = _reserve(run_id, wanted, [one for one in known.values() if not one.is_own])
        rows = [
            (
                *(calls[wish.key], numbers.get(calls[wish.key], 0) + 1, run_id, shift_id),
                *(wish.stage, wish.template_name, wish.bound_nano, now + deadline),
            )
            for wish in covered
        ]
        bought = insert_rows(Purchase, _PURCHASE, rows, returning=("id", "call_id"))
    ids = {call_id: purchase_id for purchase_id, call_id in bought}
    for wish in wanted:
        call_id = calls[wish.key]
        answers[wish.key] = Bought(ids[call_id], call_id) if call_id in ids else OverBudget()
    return answers


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came back for a purchase; UNSENT where it was bought ahead and its request never left."""

    purchase_id: int
    call_id: int
    wish: Wish
    outcome: Reply | TeacherError | Unsent


def settle(*, run_id: int, deliveries: Sequence[Delivery]) -> int:
    """Commit what arrived, raw, and move its cost from reserved to spent.

    What was never sent costs nothing, nor does a failure that nobody bills; one that may be billed
    costs its own count of tokens, else its upper bound. A second good reply to one call is kept as
    "surplus"; one whose purchase a person has settled meanwhile is kept under a purchase of its
    own, at no further cost. Twice is harmless.

    Returns by how much replies cost more than their upper bounds, in nano-dollars: the books show
    what was really spent.
    """
    ordered = sorted(deliveries, key=lambda delivery: delivery.call_id)
    costs = {delivery.purchase_id: _cost(delivery) for delivery in ordered}
    with transaction.atomic(savepoint=False):
        fetch(_LOCK_CALLS, [[delivery.call_id for delivery in ordered]])
        stored = _store(_reply_row(delivery, costs[delivery.purchase_id]) for delivery in ordered)
        for delivery in ordered if len(stored) < len(ordered) else ():
            if delivery.purchase_id not in stored and _store_late(delivery):
                stored.add(delivery.purchase_id)
        booked = [delivery for delivery in ordered if delivery.purchase_id in stored]
        released = sum(delivery.wish.bound_nano or 0 for delivery in booked)
        spent = sum(costs[delivery.purchase_id] or 0 for delivery in booked)
        if released or spent:
            change(_SPEND, [released, spent, run_id])
    return sum(_excess(delivery, costs[delivery.purchase_id]) for delivery in booked)


# --- buying ---------------------------------------------------------------------------------------


def _lock_calls(wishes: Sequence[Wish]) -> tuple[dict[bytes, int], set[int]]:
    """Return the id of each wish's call, and which of them were there before: all of them locked.

    Nobody else has seen what is inserted here; whoever wants the same key waits for this commit.
    """
    rows = [
        (wish.key, wish.request.teacher, wish.request.draw)
        for wish in sorted(wishes, key=lambda wish: wish.key)
    ]
    calls = {
        key: call_id for call_id, key in insert_rows(Call, _CALL, rows, returning=("id", "key"))
    }
    others = [wish.key for wish in wishes if wish.key not in calls]
    old = {key: call_id for call_id, key in fetch(_LOCK_KEYS, [others])} if others else {}
    return calls | old, set(old.values())


def _accepted_replies(calls: Collection[int], run_id: int) -> dict[int, Known]:
    if not calls:
        return {}
    return {
        call_id: Known(call_id, raw, latency_ms, is_own=buyer == run_id, cost_nano=cost)
        for call_id, raw, latency_ms, cost, buyer in fetch(_ACCEPTED, [list(calls)])
    }


def _last_purchases(
    calls: Collection[int], run_id: int, shift_id: int | None, now: datetime
) -> tuple[dict[int, int], dict[int, datetime]]:
    """The number of each call's newest purchase, and until when one is in flight elsewhere."""
    if not calls:
        return {}, {}
    found = fetch(_PURCHASES, [now, run_id, shift_id, shifts.LEASE, list(calls)])
    numbers = {call_id: number for call_id, number, _until in found}
    return numbers, {call_id: until for call_id, _number, until in found if until is not None}


def _reserve(run_id: int, wishes: Sequence[Wish], saved: Sequence[Known]) -> list[Wish]:
    """Reserve the bounds of those wishes that the budget covers, and count what was `saved`.

    One conditional update; where it covers not all of them, the run is locked and the first ones
    that fit are taken: a dear one that does not fit keeps no cheaper one from its place.
    """
    covered = list(wishes)
    count, value = len(saved), sum(known.cost_nano or 0 for known in saved)
    for _time in range(2):
        bound = sum(wish.bound_nano or 0 for wish in covered)
        if not bound and not count:
            return covered
        if change(_RESERVE, [bound, count, value, run_id, bound, bound]):
            return covered
        [(left,)] = fetch(_LEFT, [run_id])
        covered = _fitting(wishes, left)
    return covered


def _fitting(wishes: Sequence[Wish], left: int) -> list[Wish]:
    fitting = []
    for wish in wishes:
        if (wish.bound_nano or 0) <= left:
            left -= wish.bound_nano or 0
            fitting.append(wish)
    return fitting


# --- settling -------------------------------------------------------------------------------------


def _cost(delivery: Delivery) -> int | None:
    """What a sending cost: by the provider's count, else at most its upper bound."""
    outcome, wish = delivery.outcome, delivery.wish
    if isinstance(outcome, Unsent):
        return 0
    if outcome.usage is not None:
        return actual_nano(wish.price, outcome.usage)
    if isinstance(outcome, TeacherError) and not outcome.may_be_billed:
        return 0
    return wish.bound_nano


def _excess(delivery: Delivery, cost: int | None) -> int:
    bound = delivery.wish.bound_nano
    return 0 if cost is None or bound is None else max(0, cost - bound)


def _store(rows: Iterable[Row]) -> set[int]:
    """Insert replies; return the purchases of those that met no other reply."""
    return {one for (one,) in insert_rows(ReplyRow, _REPLY, rows, returning=("purchase_id",))}


def _store_late(delivery: Delivery) -> bool:
    """Store what met another reply; False where it is stored already, or cost nothing further."""
    earlier = ReplyRow.objects.filter(purchase=delivery.purchase_id).values_list("outcome")
    if not earlier:  # to its call, then
        return bool(_store([_reply_row(delivery, _cost(delivery), good=ReplyRow.SURPLUS)]))
    if (ReplyRow.SETTLED,) in earlier and isinstance(delivery.outcome, Reply):
        apart = replace(delivery, purchase_id=_add_purchase(delivery.purchase_id))
        if not _store([_reply_row(apart, 0)]):
            _store([_reply_row(apart, 0, good=ReplyRow.SURPLUS)])
    return False


def _add_purchase(purchase_id: int) -> int:
    """Write down another purchase like this one, which a person has settled: it cost no more."""
    purchase = Purchase.objects.get(id=purchase_id)
    numbers = Purchase.objects.filter(call=purchase.call_id).aggregate(last=Max("number"))
    purchase.pk, purchase.number, purchase.bound_nano = None, numbers["last"] + 1, 0
    purchase.save(force_insert=True)
    return purchase.id


def _reply_row(delivery: Delivery, cost: int | None, *, good: str = ReplyRow.ACCEPTED) -> Row:
    """The values of `_REPLY`; `good` is the outcome of a whole reply."""
    came = delivery.outcome
    ids = (delivery.purchase_id, delivery.call_id)
    if isinstance(came, Unsent):
        return (*ids, ReplyRow.UNSENT, None, "", b"", None, None, None, cost, 0)
    outcome, status, message = good, None, ""
    if isinstance(came, TeacherError):
        outcome, status, message = came.kind, came.status, storable(str(came))
    tokens: tuple[int | None, ...] = (None, None, None)
    if came.usage is not None:
        usage = came.usage
        tokens = (usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens)
    return (*ids, outcome, status, message, came.raw, *tokens, cost, came.latency_ms)
