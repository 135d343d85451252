"""Invariants 1 and 2 at the ledger: never bought twice, never lost, never over the budget."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distill.logic.errors import FailureKind, TeacherError
from distill.logic.prices import TokenPrice, upper_bound_nano
from distill.logic.request_key import request_key
from distill.logic.types import Message, Reply, Request, Usage
from distill.models import Purchase, Run
from distill.models import Reply as ReplyRow
from distill.services.ledger import Bought, Busy, Delivery, Known, OverBudget, Wish, buy, settle
from tests.builders import make_run

PRICE = TokenPrice(input_per_million=1.0, output_per_million=2.0)
DEADLINE = timedelta(seconds=60)


def make_wish(text: str, *, price: TokenPrice | None = PRICE, max_tokens: int = 100) -> Wish:
    request = Request(
        teacher="test:model",
        messages=(Message("user", text),),
        parameters={"max_tokens": max_tokens},
    )
    bound = upper_bound_nano(price, request.messages, max_tokens)
    return Wish(key=request_key(request), request=request, price=price, bound_nano=bound)


def good_reply(text: str = "yes") -> Reply:
    raw = f'{{"choices": "{text}"}}'.encode()
    return Reply(raw, text, "stop", "model", Usage(prompt_tokens=5, completion_tokens=7), 12)


def failure(kind: FailureKind) -> TeacherError:
    return TeacherError(kind, "it went wrong", status=500, raw=b"oops")


def buy_one(run: Run, wish: Wish) -> object:
    return buy(run_id=run.id, wishes=[wish], now=timezone.now(), deadline=DEADLINE)[wish.key]


def deliver(run: Run, wish: Wish, bought: object, outcome: Reply | TeacherError) -> None:
    assert isinstance(bought, Bought)
    delivery = Delivery(bought.purchase_id, bought.call_id, wish, outcome)
    settle(run_id=run.id, deliveries=[delivery])


@pytest.mark.django_db
def test_an_answered_call_is_known_to_every_later_run() -> None:
    run, wish = make_run(), make_wish("why?")
    deliver(run, wish, buy_one(run, wish), good_reply())
    answer = buy_one(make_run(), wish)
    assert isinstance(answer, Known)
    assert answer.raw == good_reply().raw
    assert Purchase.objects.count() == 1


@pytest.mark.django_db
def test_another_run_waits_until_the_purchase_is_too_old() -> None:
    first, second, wish = make_run(), make_run(), make_wish("why?")
    assert isinstance(buy_one(first, wish), Bought)
    assert isinstance(buy_one(second, wish), Busy)
    later = timezone.now() + DEADLINE + timedelta(seconds=1)
    answers = buy(run_id=second.id, wishes=[wish], now=later, deadline=DEADLINE)
    assert isinstance(answers[wish.key], Bought)
    assert [p.number for p in Purchase.objects.order_by("number")] == [1, 2]


@pytest.mark.django_db
def test_a_failed_sending_is_kept_and_bought_again() -> None:
    run, wish = make_run(), make_wish("why?")
    deliver(run, wish, buy_one(run, wish), failure(FailureKind.SERVER))
    deliver(run, wish, buy_one(run, wish), good_reply())
    outcomes = list(ReplyRow.objects.order_by("id").values_list("outcome", "raw"))
    assert outcomes == [("server", b"oops"), ("accepted", good_reply().raw)]


@pytest.mark.django_db
def test_a_second_good_reply_is_kept_as_surplus() -> None:
    first, second, wish = make_run(), make_run(), make_wish("why?")
    early = buy_one(first, wish)
    later = timezone.now() + DEADLINE + timedelta(seconds=1)
    late = buy(run_id=second.id, wishes=[wish], now=later, deadline=DEADLINE)[wish.key]
    deliver(second, wish, late, good_reply("second"))
    deliver(first, wish, early, good_reply("first"))
    assert sorted(ReplyRow.objects.values_list("outcome", flat=True)) == ["accepted", "surplus"]
    assert Known.__name__ == type(buy_one(first, wish)).__name__


@pytest.mark.django_db(transaction=True)
def test_of_many_runs_that_want_one_call_at_once_a_single_one_buys_it() -> None:
    runs, wish = [make_run() for _ in range(8)], make_wish("who is first?")
    answers: list[object] = []
    barrier = threading.Barrier(len(runs))

    def want(run: Run) -> None:
        barrier.wait()
        answers.append(buy_one(run, wish))
        connection.close()

    threads = [threading.Thread(target=want, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(type(answer).__name__ for answer in answers) == ["Bought"] + ["Busy"] * 7
    assert Purchase.objects.count() == 1


@pytest.mark.django_db
def test_what_the_budget_does_not_cover_is_not_bought() -> None:
    wishes = [make_wish(f"question {number}") for number in range(5)]
    bound = wishes[0].bound_nano
    assert bound
    run = make_run(budget_nano=3 * bound)
    answers = buy(run_id=run.id, wishes=wishes, now=timezone.now(), deadline=DEADLINE)
    kinds = [type(answers[wish.key]) for wish in wishes]
    assert kinds == [Bought] * 3 + [OverBudget] * 2
    run.refresh_from_db()
    assert run.reserved_nano == 3 * bound


@pytest.mark.django_db
def test_an_unpriced_reply_costs_nothing_known() -> None:
    run, wish = make_run(), make_wish("why?", price=None)
    deliver(run, wish, buy_one(run, wish), good_reply())
    run.refresh_from_db()
    assert ReplyRow.objects.get().cost_nano is None
    assert run.spent_nano == run.reserved_nano == 0


@pytest.mark.django_db
def test_a_failure_that_may_be_billed_costs_its_upper_bound() -> None:
    run, wish = make_run(budget_nano=10**9), make_wish("why?")
    deliver(run, wish, buy_one(run, wish), failure(FailureKind.TIMEOUT))
    run.refresh_from_db()
    assert (run.spent_nano, run.reserved_nano) == (wish.bound_nano, 0)
    deliver(run, wish, buy_one(run, wish), failure(FailureKind.RATE_LIMITED))
    run.refresh_from_db()
    assert (run.spent_nano, run.reserved_nano) == (wish.bound_nano, 0)


OUTCOMES = st.sampled_from(["good", *FailureKind])


@pytest.mark.django_db
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    budget=st.integers(0, 3_000_000),
    steps=st.lists(st.tuples(st.integers(1, 4), st.lists(OUTCOMES, max_size=4)), max_size=8),
)
def test_spent_and_reserved_never_exceed_the_budget(
    budget: int, steps: list[tuple[int, list[str]]]
) -> None:
    run = make_run(budget_nano=budget)
    open_purchases: list[tuple[Wish, Bought]] = []
    for turn, (wanted, outcomes) in enumerate(steps):
        wishes = [make_wish(f"run {run.id}, turn {turn}, question {n}") for n in range(wanted)]
        answers = buy(run_id=run.id, wishes=wishes, now=timezone.now(), deadline=DEADLINE)
        for wish in wishes:
            answer = answers[wish.key]
            if isinstance(answer, Bought):
                open_purchases.append((wish, answer))
        for outcome in outcomes:
            if open_purchases:
                wish, bought = open_purchases.pop(0)
                came = good_reply() if outcome == "good" else failure(FailureKind(outcome))
                deliver(run, wish, bought, came)
        run.refresh_from_db()
        assert run.spent_nano + run.reserved_nano <= budget
        assert run.reserved_nano == sum(wish.bound_nano or 0 for wish, _ in open_purchases)
