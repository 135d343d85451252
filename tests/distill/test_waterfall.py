"""Where every sample × draw went (invariant 3): nothing may disappear, whatever happened to it."""

from __future__ import annotations

import itertools

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distill.logic.errors import FailureKind
from distill.logic.reasons import Reason, Stage
from distill.models import Label, Run, SampleDraw
from distill.queries.cells import Cell
from distill.queries.waterfall import (
    balance,
    balance_cells,
    dataset_waterfall,
    run_waterfall,
    waterfall_of_cells,
)
from tests.builders import (
    make_completion,
    make_dataset,
    make_label,
    make_recipe,
    make_run,
    make_sample,
    make_sample_draw,
)

STATE = SampleDraw.State
REVIEWED = {"name": "reviewed", "export": {"policy": "reviewed"}}
GATE = {"name": "gate", "export": {"policy": "gate"}}

# Whatever the tables allow, also what the pipeline should never write.
cells = st.lists(
    st.builds(
        Cell,
        state=st.sampled_from([state.value for state in STATE]),
        count=st.integers(0, 10**6),
        stage=st.sampled_from(["", *Stage]),
        reason=st.sampled_from(["", *Reason]),
        failure_kind=st.sampled_from(["", "weird", *FailureKind]),
        outcome=st.sampled_from(["", *Label.Outcome.values]),
        people_reason=st.sampled_from(["", *Reason]),
        attempt=st.none() | st.integers(1, 4),
    ),
    max_size=30,
)


@given(cells, st.sampled_from(["reviewed", "gate"]))
def test_the_parts_always_make_the_total(cells, policy):
    sums = balance_cells(cells, policy=policy)
    assert sums.total == sums.accounted == sum(cell.count for cell in cells)


@given(cells)
def test_each_step_is_the_one_before_less_its_losses(cells):
    steps = waterfall_of_cells(cells, reasons=(), policy="reviewed").steps
    for before, step in itertools.pairwise(steps):
        assert step.count == before.count - sum(loss.count for loss in step.losses)


@given(cells)
def test_the_last_step_is_what_the_reviewed_policy_exports(cells):
    result = waterfall_of_cells(cells, reasons=(), policy="reviewed")
    assert result.steps[-1].count == result.balance.eligible


def _make_all_cases(run):
    make_sample_draw(run, state=STATE.PENDING)
    make_sample_draw(run, state=STATE.ANSWERED)
    make_sample_draw(run, state=STATE.FILTERED)
    make_sample_draw(run, state=STATE.FAILED, failure_kind=FailureKind.TIMEOUT)
    make_sample_draw(run, state=STATE.FAILED, failure_kind=FailureKind.REFUSED)
    make_sample_draw(run, state=STATE.FAILED, failure_kind=FailureKind.REFUSED)
    make_sample_draw(run, state=STATE.REJECTED, reasons=[Reason.UNPARSEABLE])
    make_sample_draw(run, state=STATE.REJECTED, reasons=[Reason.TOO_SHORT, Reason.CITATION])
    make_sample_draw(run, state=STATE.REJECTED, reasons=[Reason.CITATION])
    make_sample_draw(run, state=STATE.REJECTED, reasons=[Reason.JUDGE_MISSING])
    make_sample_draw(run, state=STATE.REJECTED, reasons=[Reason.LOW_SCORE], attempt=2)
    make_sample_draw(run, state=STATE.PASSED)
    make_sample_draw(run, state=STATE.PASSED, outcome="accepted", attempt=2)
    make_sample_draw(
        run, state=STATE.PASSED, outcome="rejected", people_reasons=[Reason.NOT_FALSIFIABLE]
    )


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("content", "eligible", "awaiting"), [(REVIEWED, 1, 1), (GATE, 2, 0)], ids=["reviewed", "gate"]
)
def test_balance_of_a_run_with_every_case(content, eligible, awaiting):
    run = make_run(recipe=make_recipe(**content))
    _make_all_cases(run)
    sums = balance(run)
    assert (sums.total, sums.accounted) == (14, 14)
    assert (sums.eligible, sums.awaiting_review, sums.pending) == (eligible, awaiting, 3)
    assert sums.failed == {"timeout": 1, "refused": 2}
    assert sums.rejected == {"parse": 1, "rules": 2, "judge": 1, "gate": 1, "review": 1}


@pytest.mark.django_db
def test_other_runs_are_not_counted():
    run, other = make_run(), make_run()
    make_sample_draw(run)
    make_sample_draw(other)
    assert balance(run).total == 1


@pytest.mark.django_db
def test_waterfall_of_a_run_with_every_case():
    run = make_run(recipe=make_recipe(**REVIEWED))
    _make_all_cases(run)
    result = run_waterfall(run)
    assert [(step.label, step.count) for step in result.steps] == [
        ("Samples × draws", 14),
        ("Answered", 10),
        ("Parsed", 8),
        ("Passed the rules", 6),
        ("Judged", 4),
        ("Passed the gate", 3),
        ("Accepted by people", 1),
    ]
    rules = {loss.label: (loss.count, loss.filters) for loss in result.steps[3].losses}
    assert rules == {
        "Too short": (1, {"state": "rejected", "reason": "too_short"}),
        "Citation or bracketed reference": (1, {"state": "rejected", "reason": "citation"}),
    }
    assert {loss.label for loss in result.steps[-1].losses} == {
        "awaiting review",
        "people: not falsifiable",
    }
    assert dict(result.reasons)[Reason.CITATION] == 2, "all reasons count, not the first alone"
    assert [(y.attempt, y.tried, y.passed) for y in result.attempts] == [(1, 10, 1), (2, 2, 1)]
    assert result.summary == ""


@pytest.mark.django_db
def test_a_run_that_filtered_everything_away_names_the_rule():
    run = make_run()
    make_sample_draw(run, state=STATE.REJECTED, reasons=[Reason.TOO_SHORT, Reason.CITATION])
    make_sample_draw(run, state=STATE.REJECTED, reasons=[Reason.CITATION])
    summary = run_waterfall(run).summary
    assert summary.startswith("Nothing passed: “Citation or bracketed reference” rejected 2 of 2")


@pytest.mark.django_db
def test_a_run_whose_requests_all_failed_names_the_kind():
    run = make_run()
    make_sample_draw(run, state=STATE.FAILED, failure_kind=FailureKind.AUTHENTICATION)
    assert "1 of 1 requests failed (authentication)" in run_waterfall(run).summary


@pytest.mark.django_db
def test_a_run_that_people_emptied_says_so():
    run = make_run()
    make_sample_draw(run, state=STATE.PASSED, outcome="rejected")
    assert run_waterfall(run).summary == "Nothing passed: people rejected all that did."


@pytest.mark.django_db
def test_a_run_is_counted_in_two_queries():
    run = Run.objects.select_related("recipe").get(pk=make_run().pk)
    _make_all_cases(run)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        run_waterfall(run)
    assert len(queries) == 2


@pytest.mark.django_db
def test_a_dataset_counts_open_completions_and_what_never_got_one():
    dataset = make_dataset()
    first, second = make_run(dataset), make_run(dataset)
    failed = make_sample_draw(first, state=STATE.FAILED, failure_kind=FailureKind.SERVER)
    SampleDraw.objects.create(run=second, sample=failed.sample, state=STATE.PENDING)
    passed = make_sample_draw(first, state=STATE.PASSED)
    SampleDraw.objects.create(run=second, sample=passed.sample, state=STATE.PENDING)
    make_sample_draw(first, state=STATE.REJECTED, reasons=[Reason.LOW_SCORE])
    imported = make_completion(dataset=dataset)
    make_label(imported)
    make_completion(imported.sample, state="rejected", is_open=False, attempt=2)
    make_sample(dataset)
    make_sample()
    sums = dataset_waterfall(dataset).balance
    assert (sums.total, sums.accounted) == (5, 5)
    assert (sums.pending, sums.awaiting_review, sums.eligible) == (2, 1, 1)
    assert (sums.rejected, sums.failed) == ({"gate": 1}, {})


draws = st.lists(
    st.tuples(
        st.sampled_from([state.value for state in STATE]),
        st.lists(st.sampled_from(Reason), min_size=1, max_size=3),
        st.sampled_from(["", *Label.Outcome.values]),
    ),
    max_size=6,
)


@pytest.mark.django_db
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(draws, st.sampled_from([REVIEWED, GATE]))
def test_nothing_disappears_whatever_is_in_the_database(draws, content):
    run = make_run(recipe=make_recipe(**content))
    for state, reasons, outcome in draws:
        has_completion = state not in (STATE.PENDING, STATE.FAILED)
        make_sample_draw(
            run,
            state=state,
            reasons=reasons if state == STATE.REJECTED else (),
            outcome=outcome if has_completion else "",
            failure_kind=FailureKind.SERVER if state == STATE.FAILED else "",
        )
    sums = balance(run)
    assert sums.total == sums.accounted == len(draws) == run.sample_draws.count()
    assert dataset_waterfall(run.dataset).balance.total == len(draws)
