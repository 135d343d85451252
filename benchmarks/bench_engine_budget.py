"""Budgets: random prices, reply lengths and kills; two workers on each run."""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import connections

from benchmarks.engine_checks import money_of, open_purchases
from benchmarks.engine_crew import Crew, a_crew, kill_worker
from benchmarks.engine_site import Measured, Site, make_dataset, make_run, recipe_content
from benchmarks.stub_door import StubDoor, running_stub
from distill.logic.prices import upper_bound_nano
from distill.logic.recipe import Recipe
from distill.models import Dataset, Run
from distill.queries.sent_messages import first_messages

_AT_ONCE = 4
_SECONDS = 180.0
SMALL_WINDOW = 0.02
"""Where one window's bounds are a smaller share of the budget, nearly all of it must be spent."""


@dataclass(frozen=True, slots=True)
class Case:
    """One random run; prices in USD a million tokens, lengths as shares of `max_tokens`."""

    number: int
    slots: int
    num_samples: int
    max_tokens: int
    input_price: float
    output_price: float
    tokens_low: float
    tokens_high: float
    window_share: float
    kill_after: float | None

    @property
    def model(self) -> str:
        return f"budget{self.number}"

    def content(self, stub: StubDoor) -> Recipe:
        price = {
            "input_per_million": self.input_price,
            "output_per_million": self.output_price,
        }
        return recipe_content(
            stub.teacher(self.model),
            slots=self.slots,
            of_teacher={"max_tokens": self.max_tokens, "price": price},
        )

    def billed_nano(self, prompt_tokens: int, completion_tokens: int) -> Decimal:
        """What the server would write on the bill, without any rounding."""
        dollars = Decimal(str(self.input_price)) * prompt_tokens
        dollars += Decimal(str(self.output_price)) * completion_tokens
        return dollars * 1000


def draw_case(number: int, rng: random.Random) -> Case:
    """A random case; every second one has a small window, so that its budget can be used up."""
    is_small = number % 2 == 0
    low = rng.uniform(0.5, 0.8) if is_small else rng.uniform(0.05, 0.8)
    return Case(
        number=number,
        slots=rng.randint(2, 3) if is_small else rng.randint(2, 24),
        num_samples=420 if is_small else rng.randint(60, 240),
        max_tokens=rng.randint(256, 1024),
        input_price=round(math.exp(rng.uniform(math.log(0.01), math.log(0.2))), 4),
        output_price=round(math.exp(rng.uniform(math.log(2), math.log(40))), 4),
        tokens_low=low,
        tokens_high=rng.uniform(low, 1.0),
        window_share=rng.uniform(0.012, 0.019) if is_small else rng.uniform(0.02, 1.5),
        kill_after=rng.uniform(0.1, 2.5) if rng.random() < 0.5 else None,
    )


def measure_budget(site: Site, *, runs: int, say: Callable[[str], None]) -> Measured:
    """Overspend over all runs; the share spent where a small window left work undone."""
    rng = random.Random(runs)
    cases = [draw_case(number, rng) for number in range(runs)]
    with running_stub() as stub:
        stub.set(
            latency=0.03,
            lengths={case.model: [case.tokens_low, case.tokens_high] for case in cases},
        )
        lanes = [cases[place::_AT_ONCE] for place in range(_AT_ONCE)]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            done = [
                row
                for lane in pool.map(lambda lane: _work_off(site, stub, lane), lanes)
                for row in lane
            ]
        time.sleep(0.5)
        billed = stub.stats()["billed"]
    return _figures(cases, {row["number"]: row for row in done}, billed, say)


def _work_off(site: Site, stub: StubDoor, cases: list[Case]) -> list[Measured]:
    try:
        with a_crew(site, 2) as crew:
            return [_one_run(site, stub, crew, case) for case in cases]
    finally:
        connections.close_all()


def _one_run(site: Site, stub: StubDoor, crew: Crew, case: Case) -> Measured:
    content = case.content(stub)
    dataset = make_dataset(site, case.model, case.num_samples)
    bound = _bound_nano(dataset, content)
    budget = int(case.slots * bound / case.window_share)
    run = make_run(dataset, content, budget_nano=budget)
    Run.objects.filter(id=run.id).update(workers=2)
    highest = _watch(crew, run, case)
    crew.finish()
    money = money_of(run.id)
    return {
        "number": case.number,
        "budget": budget,
        "window_share": case.slots * bound / budget,
        "highest": max(highest, money["spent"] + money["reserved"]),
        "spent": money["spent"],
        "reserved": money["reserved"],
        "unanswered": len(open_purchases(run.id)),
        "state": money["state"],
        "pending": run.sample_draws.filter(state="pending").count(),
        "broken": crew.broken[-1:],
    }


def _watch(crew: Crew, run: Run, case: Case) -> int:
    """Let the crew work until the run has ended; return the most that was committed to it."""
    began, first, highest = time.monotonic(), 0.0, 0
    kill_after = case.kill_after
    while (money := money_of(run.id))["state"] in run.ACTIVE:
        now = time.monotonic()
        if now - began > _SECONDS:
            raise RuntimeError(f"{case} does not end: {money}, {crew.broken[-3:]}")
        highest = max(highest, money["spent"] + money["reserved"])
        first = first or (now if money["spent"] else 0.0)
        if kill_after is not None and first and now - first > kill_after:
            kill_worker(crew, case.number % 2)
            kill_after = None
        crew.keep_at_work(run.id)
        time.sleep(0.1)
    return highest


def _bound_nano(dataset: Dataset, content: Recipe) -> int:
    """The mean upper bound of a request, as the ledger reserves it."""
    teacher = content.teacher
    bounds = [
        upper_bound_nano(teacher.price, first_messages(content, sample), teacher.max_tokens) or 0
        for sample in dataset.samples.order_by("id")[:20]
    ]
    return round(statistics.mean(bounds))


def _figures(
    cases: list[Case],
    done: dict[int, Measured],
    billed: dict[str, list[int]],
    say: Callable[[str], None],
) -> Measured:
    over: list[Decimal] = []
    shares: list[float] = []
    over_in_database = 0
    for case in cases:
        row = done[case.number]
        _, *tokens = billed.get(case.model, [0, 0, 0])
        over.append(case.billed_nano(*tokens) - row["budget"])
        over_in_database = max(over_in_database, row["highest"] - row["budget"])
        row["share"] = (row["spent"] + row["reserved"]) / row["budget"]
        if row["pending"] and row["window_share"] < SMALL_WINDOW:
            shares.append(row["share"])
        say(_line(case, row, over[-1]))
    figures: dict[str, Any] = {
        "overspend": max(0.0, float(max(over)) / 1e9),
        "overspend_in_database": max(0, over_in_database) / 1e9,
        "spent_share": round(min(shares), 4) if shares else None,
        "spent_share_median": round(statistics.median(shares), 4) if shares else None,
        "spent_share_runs": len(shares),
        "budget_runs": len(cases),
        "budget_kills": sum(case.kill_after is not None for case in cases),
    }
    return figures


def _line(case: Case, row: Measured, over: Decimal) -> str:
    return (
        f"budget {case.number:3}: {case.slots:2} slots, window {row['window_share']:.3f}, "
        f"budget {row['budget'] / 1e9:.4f}, spent and possibly billed {row['share']:.3f}, "
        f"server bills {float(over) / 1e9 + row['budget'] / 1e9:.4f}, {row['state']}, "
        f"{row['pending']} pending, {row['unanswered']} unanswered"
        f"{', killed' if case.kill_after is not None else ''} {row['broken'] or ''}"
    )
