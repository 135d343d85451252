"""A run's money, against a run counted by hand; another budget; settling what was possibly billed."""

from __future__ import annotations

import itertools
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from distill.logic.errors import InputError
from distill.models import Call, Purchase, Reply, Run, RunEvent, SampleDraw
from distill.queries.money import Lost, Money, Share, run_money
from distill.services.raise_budget import raise_budget
from distill.services.settle_lost import Settled, settle_lost
from tests.builders import (
    make_completion,
    make_label,
    make_recipe,
    make_run,
    make_sample_draw,
    make_shift,
    make_user,
)

pytestmark = pytest.mark.django_db
_KEYS = itertools.count(1)
PRICED = {"name": "openai:model-x", "price": {"input_per_million": 1, "output_per_million": 2}}


def buy(run: Run, *, bound: int | None = 100, **fields: object) -> Purchase:
    """A purchase that is still to be answered, unless `fields` say otherwise."""
    call = Call.objects.create(key=next(_KEYS).to_bytes(32), teacher="test:model")
    defaults = {
        "call": call,
        "number": 1,
        "run": run,
        "bound_nano": bound,
        "expires_at": timezone.now() + timedelta(minutes=3),
        "stage": Purchase.Stage.GENERATE,
        "template_name": "pair",
    }
    return Purchase.objects.create(**defaults | fields)


def answer(purchase: Purchase, cost: int | None, **fields: object) -> Reply:
    defaults = {"outcome": Reply.ACCEPTED, "raw": b"{}", "cost_nano": cost}
    return Reply.objects.create(purchase=purchase, call=purchase.call, **defaults | fields)


def lose(run: Run, *, bound: int | None = 100) -> Purchase:
    ended = make_shift(run, ended_at=timezone.now())
    return buy(run, bound=bound, shift_id=ended.pk)


def money_of(run: Run) -> Money:
    run.refresh_from_db()
    return run_money(run, now=timezone.now())


# --- counting ---


def test_a_run_counted_by_hand():
    run = make_run(
        budget_nano=1_000, spent_nano=90, reserved_nano=260, known_count=4, saved_nano=77
    )
    tokens = {"prompt_tokens": 10, "completion_tokens": 5}
    answer(buy(run), 40, cached_tokens=3, **tokens)
    answer(buy(run, template_name="hypothesis"), 20, **tokens)
    answer(buy(run, stage=Purchase.Stage.REGENERATE), 10, **tokens)
    answer(buy(run, stage=Purchase.Stage.JUDGE), 20, outcome="server", **tokens)
    answer(buy(run), 0, outcome=Reply.UNSENT)
    buy(run, bound=60, shift_id=make_shift(run).pk)
    lose(run)
    buy(run, expires_at=timezone.now() - timedelta(seconds=1))
    other = make_run()
    answer(buy(other), 1_000)

    money = money_of(run)

    assert money.stages == (
        Share("First attempts", 2, 0, 60, 20, 3, 10),
        Share("Further attempts", 1, 0, 10, 10, 0, 5),
        Share("Judges", 1, 0, 20, 10, 0, 5),
    )
    assert money.templates == (
        Share("hypothesis", 1, 0, 20, 10, 0, 5),
        Share("pair", 3, 0, 70, 30, 3, 15),
    )
    assert (money.total.purchases, money.total.spent_nano) == (4, 90)
    assert (money.in_flight, money.granted_nano) == (1, 60)
    assert money.lost == Lost(2, 200, 0)
    assert money.left_nano == 1_000 - 90 - 60 - 200
    assert (money.known, money.saved_nano) == (4, 77)


def test_what_has_no_price_is_counted_apart_never_as_zero():
    run = make_run()
    answer(buy(run, bound=None), None, prompt_tokens=10, completion_tokens=5)
    answer(buy(run, stage=Purchase.Stage.JUDGE), 30)
    lose(run, bound=None)
    make_sample_draw(run, state=SampleDraw.State.PASSED)
    money = money_of(run)
    generate, judge = money.stages
    assert (generate.is_unpriced, generate.spent_nano, judge.is_unpriced) == (True, 0, False)
    assert (money.unpriced, money.lost) == (2, Lost(1, 0, 1))
    assert money.per_accepted_nano is None


def test_what_was_never_told_of_a_stage_stands_last():
    run = make_run()
    answer(buy(run, stage="", template_name=""), 1)
    answer(buy(run), 1)
    assert [share.label for share in money_of(run).stages] == ["First attempts", "not recorded"]
    assert [share.label for share in money_of(run).templates] == ["pair", "not recorded"]


def test_money_for_each_accepted_sample_falls_back_to_the_gate():
    run = make_run(spent_nano=300)
    lose(run)
    for _ in range(4):
        draw = make_sample_draw(run, state=SampleDraw.State.PASSED)
    money = money_of(run)
    assert (money.accepted, money.accepted_basis) == (4, "passed the gate")
    assert money.per_accepted_nano == 100
    make_label(draw.completion or make_completion())
    money = money_of(run)
    assert (money.accepted, money.accepted_basis) == (1, "accepted by people")
    assert money.per_accepted_nano == 400


def test_an_untouched_run_has_no_figures():
    money = money_of(make_run())
    assert (money.stages, money.templates, money.left_nano) == ((), (), None)
    assert (money.total.is_unpriced, money.per_accepted_nano) == (False, None)


def test_money_takes_one_query_over_the_purchases(django_assert_max_num_queries):
    run = make_run()
    for _ in range(5):
        answer(buy(run), 1)
    with django_assert_max_num_queries(3):
        run_money(run, now=timezone.now())


# --- another budget ---


def priced_run(**fields: Any) -> Run:
    return make_run(recipe=make_recipe(teacher=PRICED, judges=[]), **fields)


def test_a_budget_is_raised_once_and_logged():
    run, operator = priced_run(budget_nano=1_000), make_user("operator")
    assert raise_budget(run_id=run.pk, budget_nano=2_500_000_000, user=operator)
    assert not raise_budget(run_id=run.pk, budget_nano=2_500_000_000, user=operator)
    run.refresh_from_db()
    assert run.budget_nano == 2_500_000_000
    event = RunEvent.objects.get(run=run)
    assert event.message == (f"Budget set to $2.5, it was $0.000001; by {operator.get_username()}.")


def test_a_budget_below_what_is_spent_and_reserved_is_refused():
    run = priced_run(budget_nano=1_000, spent_nano=500, reserved_nano=300)
    with pytest.raises(InputError, match=r"at least \$0\.0000008"):
        raise_budget(run_id=run.pk, budget_nano=799)
    assert raise_budget(run_id=run.pk, budget_nano=800)


def test_a_budget_for_a_model_without_a_price_is_refused():
    recipe = make_recipe(teacher={"name": "openai:unheard-of"}, judges=[])
    run = make_run(recipe=recipe)
    with pytest.raises(InputError, match="price of openai:unheard-of"):
        raise_budget(run_id=run.pk, budget_nano=1_000)


# --- settling ---


def test_settled_in_full_what_was_reserved_is_spent():
    run, operator = make_run(reserved_nano=250, spent_nano=10), make_user("operator")
    lose(run)
    lose(run)
    still_out = buy(run, bound=50, shift_id=make_shift(run).pk)
    assert settle_lost(run_id=run.pk, amount_nano=None, user=operator) == Settled(2, 200)
    money = money_of(run)
    assert (run.spent_nano, run.reserved_nano) == (210, 50)
    assert (money.lost, money.in_flight) == (Lost(), 1)
    assert not Reply.objects.filter(purchase=still_out).exists()
    assert operator.get_username() in RunEvent.objects.get(run=run).message


def test_settled_as_not_billed_what_was_reserved_is_free_again():
    run = make_run(reserved_nano=200)
    lose(run)
    lose(run)
    assert settle_lost(run_id=run.pk, amount_nano=0) == Settled(2, 0)
    run.refresh_from_db()
    assert (run.spent_nano, run.reserved_nano) == (0, 0)


@pytest.mark.parametrize("amount", [1, 7, 100, 299, 300])
def test_an_amount_is_shared_out_to_the_last_nano_dollar(amount):
    run = make_run(reserved_nano=300)
    bounds = [100, 150, 0, 50]
    for bound in bounds:
        lose(run, bound=bound)
    assert settle_lost(run_id=run.pk, amount_nano=amount) == Settled(4, amount)
    costs = Reply.objects.order_by("purchase").values_list("cost_nano", flat=True)
    assert all(0 <= cost <= bound for cost, bound in zip(costs, bounds, strict=True))
    run.refresh_from_db()
    assert (run.spent_nano, run.reserved_nano) == (amount, 0)


def test_settling_twice_is_harmless():
    run = make_run(reserved_nano=100)
    lose(run)
    settle_lost(run_id=run.pk, amount_nano=None)
    assert settle_lost(run_id=run.pk, amount_nano=None) == Settled(0, 0)
    run.refresh_from_db()
    assert (run.spent_nano, run.reserved_nano) == (100, 0)
    assert RunEvent.objects.filter(run=run).count() == 1


def test_more_than_the_upper_bounds_is_refused():
    run = make_run(reserved_nano=100)
    lose(run)
    with pytest.raises(InputError, match="more than they can have cost"):
        settle_lost(run_id=run.pk, amount_nano=101)
    assert money_of(run).lost.purchases == 1


def test_what_has_no_bound_stays_unpriced_when_settled_in_full():
    run = make_run()
    lose(run, bound=None)
    assert settle_lost(run_id=run.pk, amount_nano=None) == Settled(1, 0)
    assert money_of(run).total.unpriced == 1


def test_what_has_no_bound_takes_the_amount_that_was_billed():
    run = make_run()
    lose(run, bound=None)
    lose(run, bound=None)
    assert settle_lost(run_id=run.pk, amount_nano=501) == Settled(2, 501)
    assert money_of(run).total.unpriced == 0


def test_of_another_run_nothing_is_settled():
    run, other = make_run(), make_run(reserved_nano=100)
    lose(other)
    assert settle_lost(run_id=run.pk, amount_nano=None) == Settled(0, 0)
    assert money_of(other).lost.purchases == 1


@pytest.mark.django_db(transaction=True)
def test_two_who_settle_at_once_settle_once():
    run = make_run(reserved_nano=500)
    for _ in range(5):
        lose(run)
    settled: list[Settled] = []

    def settle() -> None:
        settled.append(settle_lost(run_id=run.pk, amount_nano=None))
        connection.close()

    threads = [threading.Thread(target=settle) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.refresh_from_db()
    assert sum(one.purchases for one in settled) == 5
    assert (run.spent_nano, run.reserved_nano) == (500, 0)
