"""Invariants 1 and 2 at the ledger: never bought twice, never lost, never over the budget."""

from __future__ import annotations

import random
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distill.engine.pool import UNSENT, Unsent
from distill.logic.errors import FailureKind, TeacherError
from distill.logic.prices import TokenPrice, upper_bound_nano
from distill.logic.request_key import request_key
from distill.logic.types import Message, Reply, Request, Usage
from distill.models import Purchase, Run, Shift
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


def deliver(run: Run, wish: Wish, bought: object, outcome: Reply | TeacherError | Unsent) -> None:
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


# --- what a purchase says, and who may buy again ---


def make_shift(run: Run, **fields: object) -> Shift:
    defaults: dict[str, object] = {"host": "here", "pid": 1, "heartbeat_at": timezone.now()}
    return Shift.objects.create(run=run, **(defaults | fields))


def buy_on(shift: Shift, wish: Wish) -> object:
    return buy(
        run_id=shift.run_id,
        shift_id=shift.id,
        wishes=[wish],
        now=timezone.now(),
        deadline=DEADLINE,
    )[wish.key]


@pytest.mark.django_db
def test_a_purchase_names_its_shift_stage_and_template() -> None:
    shift = make_shift(make_run())
    wish = replace(make_wish("why?"), stage=Purchase.Stage.JUDGE, template_name="pair")
    assert isinstance(buy_on(shift, wish), Bought)
    purchase = Purchase.objects.get()
    assert (purchase.shift_id, purchase.stage, purchase.template_name) == (
        shift.id,
        "judge",
        "pair",
    )


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("gone", "expected"),
    [
        ({}, Busy),
        ({"ended_at": timezone.now()}, Bought),
        ({"heartbeat_at": timezone.now() - timedelta(minutes=1)}, Bought),
    ],
)
def test_what_a_live_shift_of_the_same_run_has_in_flight_is_waited_for(
    gone: dict[str, object], expected: type
) -> None:
    run, wish = make_run(budget_nano=10**9), make_wish("why?")
    first, second = make_shift(run), make_shift(run)
    assert isinstance(buy_on(first, wish), Bought)
    Shift.objects.filter(id=first.id).update(**gone)
    assert isinstance(buy_on(second, wish), expected)
    run.refresh_from_db()
    bought = Purchase.objects.count()
    assert run.reserved_nano == bought * (wish.bound_nano or 0), "possibly billed is not released"


@pytest.mark.django_db
def test_what_other_runs_had_bought_is_counted_with_what_it_saved() -> None:
    first, second = make_run(budget_nano=10**9), make_run(budget_nano=10**9)
    wishes = [make_wish(f"question {number}") for number in range(3)]
    for wish in wishes[:2]:
        deliver(first, wish, buy_one(first, wish), good_reply())
    known = buy_one(first, wishes[0])
    assert isinstance(known, Known)
    assert (known.is_own, known.cost_nano) == (True, 19_000)
    answers = buy(run_id=second.id, wishes=wishes, now=timezone.now(), deadline=DEADLINE)
    assert [type(answers[wish.key]) for wish in wishes] == [Known, Known, Bought]
    for run, expected in ((first, (0, 0)), (second, (2, 38_000))):
        run.refresh_from_db()
        assert (run.known_count, run.saved_nano) == expected


@pytest.mark.django_db
def test_a_dear_request_keeps_no_cheaper_one_from_its_place() -> None:
    wishes = [
        make_wish(f"question {number}", max_tokens=tokens)
        for number, tokens in enumerate((100, 10_000, 101))
    ]
    bounds = [wish.bound_nano or 0 for wish in wishes]
    run = make_run(budget_nano=bounds[0] + bounds[2])
    answers = buy(run_id=run.id, wishes=wishes, now=timezone.now(), deadline=DEADLINE)
    assert [type(answers[wish.key]) for wish in wishes] == [Bought, OverBudget, Bought]
    run.refresh_from_db()
    assert run.reserved_nano == run.budget_nano


# --- what things cost ---


@pytest.mark.django_db
def test_what_was_never_sent_costs_nothing_and_is_bought_again() -> None:
    run, wish = make_run(budget_nano=10**9), make_wish("why?")
    deliver(run, wish, buy_one(run, wish), UNSENT)
    run.refresh_from_db()
    assert (run.spent_nano, run.reserved_nano) == (0, 0)
    assert ReplyRow.objects.get().outcome == ReplyRow.UNSENT
    assert isinstance(buy_one(run, wish), Bought)


@pytest.mark.django_db
def test_a_broken_reply_costs_its_own_count_of_tokens() -> None:
    run, wish = make_run(budget_nano=10**9), make_wish("why?")
    broken = TeacherError(
        FailureKind.EMPTY, "no text", usage=Usage(5, 7, cached_tokens=2), raw=b"{}"
    )
    deliver(run, wish, buy_one(run, wish), broken)
    run.refresh_from_db()
    reply = ReplyRow.objects.get()
    assert (run.spent_nano, run.reserved_nano) == (19_000, 0)
    assert (reply.prompt_tokens, reply.cached_tokens, reply.completion_tokens) == (5, 2, 7)


@pytest.mark.django_db
def test_a_request_that_never_reached_the_provider_costs_nothing() -> None:
    run, wish = make_run(budget_nano=10**9), make_wish("why?")
    refused = TeacherError(FailureKind.CONNECTION, "connection refused", is_sent=False)
    deliver(run, wish, buy_one(run, wish), refused)
    run.refresh_from_db()
    assert (run.spent_nano, run.reserved_nano) == (0, 0)


@pytest.mark.django_db
def test_a_reply_dearer_than_its_bound_is_booked_as_it_is_and_told() -> None:
    run, wish = make_run(budget_nano=10**9), make_wish("why?", max_tokens=1)
    bought = buy_one(run, wish)
    assert isinstance(bought, Bought)
    reply = replace(good_reply(), usage=Usage(prompt_tokens=5, completion_tokens=1000))
    delivery = Delivery(bought.purchase_id, bought.call_id, wish, reply)
    over = settle(run_id=run.id, deliveries=[delivery])
    run.refresh_from_db()
    assert run.spent_nano == 2_005_000
    assert over == 2_005_000 - (wish.bound_nano or 0)


# --- late replies ---


@pytest.mark.django_db
def test_a_delivery_settled_twice_changes_nothing_the_second_time() -> None:
    run, wish = make_run(budget_nano=10**9), make_wish("why?")
    bought = buy_one(run, wish)
    for _time in range(2):
        deliver(run, wish, bought, good_reply())
        run.refresh_from_db()
        assert (run.spent_nano, run.reserved_nano) == (19_000, 0)
    assert ReplyRow.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("answered", [False, True])
def test_a_reply_that_a_person_had_settled_is_kept_and_answers_its_call(answered: bool) -> None:
    run, other, wish = make_run(budget_nano=10**9), make_run(), make_wish("why?")
    bought = buy_one(run, wish)
    assert isinstance(bought, Bought)
    ReplyRow.objects.create(
        purchase_id=bought.purchase_id,
        call_id=bought.call_id,
        outcome=ReplyRow.SETTLED,
        raw=b"",
        cost_nano=50,
    )
    Run.objects.filter(id=run.id).update(reserved_nano=0, spent_nano=50)
    if answered:
        deliver(other, wish, buy_one(other, wish), good_reply("first"))
    deliver(run, wish, bought, good_reply("late"))
    run.refresh_from_db()
    assert (run.spent_nano, run.reserved_nano) == (50, 0)
    late = ReplyRow.objects.get(raw=good_reply("late").raw)
    assert (late.outcome, late.cost_nano) == ("surplus" if answered else "accepted", 0)
    assert late.purchase.bound_nano == 0
    assert isinstance(buy_one(make_run(), wish), Known)


@pytest.mark.django_db(transaction=True)
def test_workers_that_buy_and_settle_the_same_calls_do_not_lock_each_other_out() -> None:
    run = make_run(budget_nano=10**12)
    wishes = [make_wish(f"question {number}", max_tokens=10) for number in range(12)]
    shifts = [make_shift(run) for _ in range(4)]
    failed: list[BaseException] = []

    def work(shift: Shift, dice: random.Random) -> None:
        try:
            for _time in range(15):
                some = dice.sample(wishes, 6)
                answers = buy(
                    run_id=run.id,
                    shift_id=shift.id,
                    wishes=some,
                    now=timezone.now(),
                    deadline=DEADLINE,
                )
                bought = [(wish, answers[wish.key]) for wish in some]
                settle(
                    run_id=run.id,
                    deliveries=[
                        Delivery(one.purchase_id, one.call_id, wish, failure(FailureKind.SERVER))
                        for wish, one in bought
                        if isinstance(one, Bought)
                    ],
                )
        except DatabaseError as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [
        threading.Thread(target=work, args=(shift, random.Random(shift.id))) for shift in shifts
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    run.refresh_from_db()
    costs = ReplyRow.objects.values_list("cost_nano", flat=True)
    assert (run.reserved_nano, run.spent_nano) == (0, sum(cost or 0 for cost in costs))
    assert ReplyRow.objects.count() == Purchase.objects.count()
