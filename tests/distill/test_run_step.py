"""A run from samples to verdicts, over real HTTP, a real database and a misbehaving teacher."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

import distill
from distill.logic.gate import GateConfig
from distill.logic.pulse import Pulse
from distill.models import (
    Call,
    Completion,
    CompletionState,
    Dataset,
    Judgement,
    Purchase,
    Reply,
    Run,
    RunEvent,
    SampleDraw,
    Verdict,
)
from distill.services.runs import create_run, request_stop, resume_run
from distill.services.step import run_step
from distill.teachers.offline import offline_teacher
from tests.builders import make_completion, make_dataset, make_recipe, make_sample

pytestmark = pytest.mark.django_db(transaction=True)

PASSAGES = Path(distill.__file__).parent / "demo" / "passages.jsonl"


def demo_dataset(num_samples: int) -> Dataset:
    """A dataset of the first demo passages."""
    dataset = make_dataset()
    for line in PASSAGES.read_bytes().splitlines()[:num_samples]:
        passage = orjson.loads(line)
        make_sample(dataset, text=passage["text"], domain=passage["domain"])
    return dataset


def counts_of(run: Run) -> dict[str, int]:
    states = SampleDraw.objects.filter(run=run).values_list("state", flat=True)
    return {state: list(states).count(state) for state in set(states)}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with offline_teacher(0) as base_url:
        yield base_url


@pytest.fixture(scope="module")
def moody_url() -> Iterator[str]:
    """A teacher that misbehaves moderately."""
    with offline_teacher(0, faults="moderate,retry_after=0.2,slow_seconds=1") as base_url:
        yield base_url


def test_a_pipeline_ends_each_sample_with_a_verdict(url: str) -> None:
    run = create_run(dataset=demo_dataset(40), recipe=make_recipe(), kind=Run.Kind.PIPELINE)
    assert run_step(run.id, offline_url=url) == Run.State.DONE
    counts = counts_of(run)
    assert counts["passed"] >= 20
    assert sum(counts.values()) == 40
    assert set(counts) <= {"passed", "rejected"}
    assert CompletionState.objects.filter(is_open=True).count() == 40
    for row in SampleDraw.objects.filter(run=run).select_related("completion", "verdict"):
        assert row.verdict is not None
        assert row.verdict.completion_id == row.completion_id
        assert row.verdict.passed == (row.state == "passed")


def test_rejected_completions_get_another_attempt_with_lineage(url: str) -> None:
    run = create_run(dataset=demo_dataset(60), recipe=make_recipe(), kind=Run.Kind.PIPELINE)
    run_step(run.id, offline_url=url)
    second = Completion.objects.filter(attempt=2).select_related("parent", "parent__state_row")
    assert second.exists()
    for completion in second:
        assert completion.parent is not None
        assert completion.parent.state_row.state == "rejected"
        assert not completion.parent.state_row.is_open
    assert not Completion.objects.filter(attempt=3).exists()


def test_regenerating_ends_with_the_attempts_that_the_recipe_allows(url: str) -> None:
    dataset, recipe = demo_dataset(40), make_recipe(regeneration={"max_attempts": 1})
    for kind in (Run.Kind.PIPELINE, Run.Kind.REGENERATE):
        run = create_run(dataset=dataset, recipe=recipe, kind=kind)
        assert run_step(run.id, offline_url=url) == Run.State.DONE
    assert CompletionState.objects.filter(state="rejected").exists()
    assert not SampleDraw.objects.filter(run=run).exists()
    assert not Completion.objects.filter(attempt=2).exists()


def test_asking_again_leaves_later_attempts_in_their_place(url: str) -> None:
    dataset, recipe = demo_dataset(60), make_recipe()
    pipeline = create_run(dataset=dataset, recipe=recipe, kind=Run.Kind.PIPELINE)
    run_step(pipeline.id, offline_url=url)
    opened = CompletionState.objects.filter(is_open=True).values_list("completion", "state")
    before = set(opened)
    assert CompletionState.objects.filter(is_open=True, completion__attempt=2).exists()
    again = create_run(dataset=dataset, recipe=recipe, kind=Run.Kind.GENERATE)
    run_step(again.id, offline_url=url)
    assert set(opened.all()) == before


def test_a_second_run_is_answered_from_the_ledger(url: str) -> None:
    dataset, recipe = demo_dataset(15), make_recipe()
    first = create_run(dataset=dataset, recipe=recipe, kind=Run.Kind.PIPELINE)
    run_step(first.id, offline_url=url)
    bought = Purchase.objects.count()
    second = create_run(dataset=dataset, recipe=recipe, kind=Run.Kind.PIPELINE)
    assert run_step(second.id, offline_url="http://127.0.0.1:9/v1") == Run.State.DONE
    assert Purchase.objects.count() == bought
    assert counts_of(second) == counts_of(first)
    assert Completion.objects.filter(attempt=1).count() == 15


def test_other_thresholds_over_a_stored_run_ask_no_model(url: str) -> None:
    dataset = demo_dataset(15)
    first = create_run(dataset=dataset, recipe=make_recipe(), kind=Run.Kind.PIPELINE)
    run_step(first.id, offline_url=url)
    bought = Purchase.objects.count()
    strict = make_recipe(gate=GateConfig(min_mean=1.0, review_band=0.5))
    again = create_run(dataset=dataset, recipe=strict, kind=Run.Kind.GATE)
    assert run_step(again.id, offline_url="http://127.0.0.1:9/v1") == Run.State.DONE
    assert Purchase.objects.count() == bought
    assert counts_of(again).get("passed", 0) < counts_of(first)["passed"]


def test_a_finished_step_run_again_changes_nothing(url: str) -> None:
    run = create_run(dataset=demo_dataset(5), recipe=make_recipe(), kind=Run.Kind.PIPELINE)
    run_step(run.id, offline_url=url)
    before = [model.objects.count() for model in (Call, Reply, Completion, Verdict, RunEvent)]
    assert run_step(run.id, offline_url=url) == "held"
    assert before == [
        model.objects.count() for model in (Call, Reply, Completion, Verdict, RunEvent)
    ]


def test_stages_one_by_one_come_to_the_same_end(url: str) -> None:
    dataset, recipe = demo_dataset(25), make_recipe()
    states = CompletionState.objects.filter(dataset=dataset, is_open=True)
    for kind, expected in (
        (Run.Kind.GENERATE, {"new"}),
        (Run.Kind.FILTER, {"filtered", "rejected"}),
        (Run.Kind.JUDGE, {"filtered", "rejected"}),
        (Run.Kind.GATE, {"passed", "rejected"}),
        (Run.Kind.REGENERATE, {"passed", "rejected"}),
    ):
        run = create_run(dataset=dataset, recipe=recipe, kind=kind)
        assert run_step(run.id, offline_url=url) == Run.State.DONE
        assert set(states.values_list("state", flat=True)) <= expected
    pipeline = create_run(dataset=dataset, recipe=recipe, kind=Run.Kind.PIPELINE)
    run_step(pipeline.id, offline_url="http://127.0.0.1:9/v1")
    passed = states.filter(state="passed").count()
    assert counts_of(pipeline)["passed"] == passed


def test_every_sample_ends_visibly_under_a_misbehaving_teacher(moody_url: str) -> None:
    run = create_run(dataset=demo_dataset(100), recipe=make_recipe(), kind=Run.Kind.PIPELINE)
    assert run_step(run.id, offline_url=moody_url) == Run.State.DONE
    counts = counts_of(run)
    assert sum(counts.values()) == 100
    assert counts.get("pending", 0) == 0
    failed = SampleDraw.objects.filter(run=run, state="failed")
    assert all(row.failure_kind and row.failure_message for row in failed)
    outcomes = set(Reply.objects.values_list("outcome", flat=True))
    assert {"accepted", "rate_limited"} <= outcomes
    accepted = Reply.objects.filter(outcome="accepted").values_list("call_id", flat=True)
    assert len(accepted) == len(set(accepted))


def test_several_draws_are_several_completions(url: str) -> None:
    recipe = make_recipe(teacher={"draws": 3})
    run = create_run(dataset=demo_dataset(4), recipe=recipe, kind=Run.Kind.GENERATE)
    run_step(run.id, offline_url=url)
    assert counts_of(run) == {"answered": 12}
    assert Completion.objects.values("sample", "draw").distinct().count() == 12
    assert Completion.objects.values("text").distinct().count() > 4


def test_equal_requests_of_two_samples_are_asked_once(url: str) -> None:
    dataset = make_dataset()
    for _ in range(3):
        make_sample(
            dataset, text="Nitrate rose by 40 % in drained plots. Controls stayed flat.", title=""
        )
    run = create_run(dataset=dataset, recipe=make_recipe(), kind=Run.Kind.GENERATE)
    run_step(run.id, offline_url=url)
    assert counts_of(run) == {"answered": 3}
    assert Call.objects.count() == Purchase.objects.count() == 1


def test_an_unknown_template_fails_its_sample_alone(url: str) -> None:
    dataset = demo_dataset(3)
    make_sample(dataset, template_name="sonnet")
    run = create_run(dataset=dataset, recipe=make_recipe(), kind=Run.Kind.GENERATE)
    assert run_step(run.id, offline_url=url) == Run.State.DONE
    assert counts_of(run) == {"answered": 3, "failed": 1}
    assert "sonnet" in SampleDraw.objects.get(run=run, state="failed").failure_message


def test_a_stopped_run_resumes_where_it_was(url: str) -> None:
    run = create_run(dataset=demo_dataset(30), recipe=make_recipe(), kind=Run.Kind.GENERATE)

    def stop(_pulse: Pulse) -> None:
        request_stop(run_id=run.id)

    run_step(run.id, offline_url=url, on_pulse=stop)
    run.refresh_from_db()
    if run.state == Run.State.STOPPED:
        assert not request_stop(run_id=run.id)
        assert resume_run(run_id=run.id)
        assert not resume_run(run_id=run.id)
        run_step(run.id, offline_url=url)
    assert counts_of(run) == {"answered": 30}
    assert Reply.objects.filter(outcome="accepted").count() == 30


def test_judgements_say_who_judged_and_what_came_out(url: str) -> None:
    run = create_run(dataset=demo_dataset(6), recipe=make_recipe(), kind=Run.Kind.PIPELINE)
    run_step(run.id, offline_url=url)
    for judgement in Judgement.objects.all():
        assert judgement.teacher == "offline:rubric"
        assert judgement.error or 0 <= judgement.mean_score <= 1


def test_a_run_whose_requests_are_wrong_fails_and_says_so_once(url: str) -> None:
    run = create_run(dataset=demo_dataset(40), recipe=make_recipe(), kind=Run.Kind.GENERATE)
    assert run_step(run.id, offline_url=f"{url}/nowhere") == Run.State.FAILED
    last = RunEvent.objects.filter(run=run).last()
    assert last is not None
    assert "in a row" in last.message
    assert RunEvent.objects.filter(run=run, message=last.message).count() == 1
    assert not RunEvent.objects.filter(run=run, message="Done.").exists()
    assert resume_run(run_id=run.id)
    assert run_step(run.id, offline_url=url) == Run.State.DONE
    left = counts_of(run)
    assert left.pop("failed") >= 25, "what is wrong for good is not asked again"
    assert set(left) <= {"answered"}


def test_a_gate_whose_recipe_lacks_a_template_fails_that_completion_alone(url: str) -> None:
    dataset = make_dataset()
    make_completion(dataset=dataset, state="new", template_name="sonnet")
    make_completion(dataset=dataset, state="new")
    run = create_run(dataset=dataset, recipe=make_recipe(), kind=Run.Kind.GATE)
    assert run_step(run.id, offline_url=url) == Run.State.DONE
    assert counts_of(run) == {"failed": 1, "rejected": 1}
