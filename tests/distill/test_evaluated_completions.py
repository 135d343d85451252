"""Answers of students and bases: scored like a teacher's, seen by no queue, export or waterfall."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from django.urls import reverse
from django.utils import timezone

from distill.logic.reasons import Reason, Stage
from distill.models import (
    Completion,
    CompletionState,
    Dataset,
    Export,
    Judgement,
    Recipe,
    Run,
    Sample,
    SampleDraw,
    Verdict,
)
from distill.queries.cells import count_dataset
from distill.queries.completions import CompletionFilter, each_completion, find_completions
from distill.queries.eligible import eligible_ids
from distill.queries.history import completion_history
from distill.queries.waterfall import balance, dataset_waterfall, run_waterfall
from distill.services.populate import populate_run
from distill.services.runs import create_run, request_stop, resume_run
from distill.services.score_answers import score_answers
from distill.services.step import run_step
from distill.services.store_answers import ModelAnswer, store_answers
from distill.teachers.offline import offline_teacher
from review.models import Slot
from review.services.fill import fill_queues
from tests.builders import (
    PAIR,
    make_completion,
    make_label,
    make_recipe,
    make_run,
    make_sample,
    make_sample_draw,
    make_user,
)
from tests.distill.test_run_step import demo_dataset

pytestmark = pytest.mark.django_db(transaction=True)

STUDENT = "student:7"
NOTHING = ("not json", "stop")
# Where no thread looks on: a rollback is quicker than emptying all tables.
IN_ONE_TRANSACTION = pytest.mark.django_db(transaction=False)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with offline_teacher(0) as base_url:
        yield base_url


def answer(sample: Sample, text: str = "", finish_reason: str = "stop") -> ModelAnswer:
    return ModelAnswer(sample, text or orjson.dumps(PAIR).decode(), finish_reason, 90, 60, 12)


def samples_of(dataset: Dataset) -> list[Sample]:
    return list(Sample.objects.filter(dataset=dataset).order_by("key"))


def stored(dataset: Dataset, recipe: Recipe) -> list[Completion]:
    """One good answer of the student, and one that is no JSON."""
    good, bad = samples_of(dataset)[:2]
    answers = [answer(good), answer(bad, *NOTHING)]
    return store_answers(recipe=recipe, teacher=STUDENT, model="run-7/model", answers=answers)


@IN_ONE_TRANSACTION
def test_an_answer_is_stored_once_with_its_fields_and_is_no_candidate() -> None:
    dataset, recipe = demo_dataset(2), make_recipe()
    first = stored(dataset, recipe)
    assert [one.pk for one in stored(dataset, recipe)] == [one.pk for one in first]
    assert Completion.objects.count() == 2
    good = first[0]
    assert (good.origin, good.teacher, good.draw, good.attempt) == ("evaluated", STUDENT, 0, 1)
    assert good.fields == PAIR
    assert (good.prompt_tokens, good.completion_tokens, good.latency_ms) == (90, 60, 12)
    assert {state.dataset for state in CompletionState.objects.all()} == {None}


@IN_ONE_TRANSACTION
def test_a_text_that_the_database_cannot_hold_is_stored_all_the_same() -> None:
    sample = make_sample()
    (one,) = store_answers(
        recipe=make_recipe(),
        teacher=STUDENT,
        model="m" * 500,
        answers=[answer(sample, "a\0b\ud800", "length")],
    )
    assert one.text == "a\ufffdb\ufffd"


def test_scoring_says_of_each_answer_where_it_ended(url: str) -> None:
    dataset, recipe = demo_dataset(2), make_recipe()
    run = score_answers(dataset=dataset, recipe=recipe, completions=stored(dataset, recipe))
    assert balance(run).pending == balance(run).total == 2
    assert run_step(run.pk, offline_url=url) == "done"
    run.refresh_from_db()
    sums = balance(run)
    assert sums.accounted == sums.total == 2
    assert sums.pending == sums.awaiting_review == 0
    assert sums.rejected[Stage.PARSE] == 1
    steps = [step.label for step in run_waterfall(run).steps]
    assert steps[-1] == "Passed the gate"
    assert Verdict.objects.filter(run=run).count() == 2
    # Only what passed the rules costs a judge's request.
    assert Judgement.objects.count() == sums.total - sums.rejected[Stage.PARSE]


def test_scoring_again_asks_nothing_twice(url: str) -> None:
    dataset, recipe = demo_dataset(2), make_recipe()
    run = score_answers(dataset=dataset, recipe=recipe, completions=stored(dataset, recipe))
    run_step(run.pk, offline_url=url)
    before = balance(run)
    assert resume_run(run_id=run.pk)
    assert run_step(run.pk, offline_url=url) == "done"
    assert balance(run) == before
    again = score_answers(dataset=dataset, recipe=recipe, completions=stored(dataset, recipe))
    run_step(again.pk, offline_url=url)
    assert balance(again) == before
    assert again.purchases.count() == 0


def test_a_scoring_that_is_stopped_at_any_moment_accounts_for_every_answer(url: str) -> None:
    dataset, recipe = demo_dataset(6), make_recipe()
    answers = [answer(sample) for sample in samples_of(dataset)]
    completions = store_answers(recipe=recipe, teacher=STUDENT, model="m", answers=answers)
    run = score_answers(dataset=dataset, recipe=recipe, completions=completions)
    request_stop(run_id=run.pk)
    for _ in range(3):
        resume_run(run_id=run.pk)
        pulses: list[object] = []
        run_step(run.pk, offline_url=url, on_pulse=pulses.append, is_stopping=lambda: True)
        assert balance(run).accounted == balance(run).total == 6
        request_stop(run_id=run.pk)
    resume_run(run_id=run.pk)
    assert run_step(run.pk, offline_url=url) == "done"
    assert balance(run).pending == 0


def test_the_teachers_attempt_stays_the_open_one(url: str) -> None:
    dataset, recipe = demo_dataset(2), make_recipe()
    taught = make_completion(samples_of(dataset)[0])
    completions = stored(dataset, recipe)
    run = score_answers(dataset=dataset, recipe=recipe, completions=completions)
    run_step(run.pk, offline_url=url)
    assert CompletionState.objects.get(pk=taught.pk).is_open
    assert {one.state_row.is_open for one in Completion.objects.all()} == {True}


@pytest.fixture
def taught() -> Completion:
    """A teacher's completion that passed, beside a student's accepted answer to the same sample."""
    sample = make_sample(split=Sample.Split.TEST)
    taught = make_completion(sample)
    (student,) = store_answers(
        recipe=make_recipe(), teacher=STUDENT, model="m", answers=[answer(sample)]
    )
    CompletionState.objects.filter(pk=student.pk).update(state="passed", mean_score=0.99)
    make_label(student)
    return taught


def student_of(taught: Completion) -> Completion:
    return Completion.objects.get(sample=taught.sample, origin="evaluated")


@IN_ONE_TRANSACTION
def test_no_queue_opens_a_slot_for_a_students_answer(taught: Completion) -> None:
    fill_queues(dataset_id=taught.sample.dataset_id)
    assert [slot.completion_id for slot in Slot.objects.all()] == [taught.pk]


@IN_ONE_TRANSACTION
def test_no_export_takes_a_students_answer(taught: Completion) -> None:
    dataset = taught.sample.dataset
    assert list(eligible_ids(dataset=dataset, policy=Export.Policy.REVIEWED)) == []
    assert list(eligible_ids(dataset=dataset, policy=Export.Policy.GATE)) == [taught.pk]
    run = make_run(dataset, kind=Run.Kind.EVALUATE, is_populated=True)
    SampleDraw.objects.create(run=run, sample=taught.sample, completion=student_of(taught))
    assert list(eligible_ids(dataset=dataset, policy=Export.Policy.REVIEWED, run=run)) == []


@IN_ONE_TRANSACTION
@pytest.mark.parametrize("kind", ["filter", "judge", "gate", "regenerate"])
def test_no_other_run_takes_a_students_answer(taught: Completion, kind: str) -> None:
    student = student_of(taught)
    run = make_run(taught.sample.dataset, kind=Run.Kind.EVALUATE, is_populated=True)
    verdict = Verdict.objects.create(
        completion=student, recipe=run.recipe, run=run, passed=False, stage="gate"
    )
    CompletionState.objects.all().update(state="rejected", verdict=verdict)
    CompletionState.objects.filter(pk=taught.pk).delete()
    other = create_run(dataset=taught.sample.dataset, recipe=make_recipe(), kind=kind)
    populate_run(run=other, on_batch=lambda: None)
    assert not other.sample_draws.exists()


@IN_ONE_TRANSACTION
def test_the_datasets_waterfall_does_not_change_with_an_evaluation() -> None:
    """Neither for a sample that the teacher answered, nor for one that failed, nor a fresh one."""
    run = make_run()
    make_sample_draw(run)
    make_sample_draw(run, state=SampleDraw.State.FAILED, failure_kind="server")
    make_sample(run.dataset)
    before = dataset_waterfall(run.dataset), count_dataset(run.dataset)
    samples = samples_of(run.dataset)
    completions = store_answers(
        recipe=run.recipe, teacher=STUDENT, model="m", answers=[answer(one) for one in samples]
    )
    score_answers(dataset=run.dataset, recipe=run.recipe, completions=completions)
    assert (dataset_waterfall(run.dataset), count_dataset(run.dataset)) == before
    assert before[0].balance.accounted == before[0].balance.total == 3


@IN_ONE_TRANSACTION
def test_the_list_shows_students_answers_only_where_they_are_meant(taught: Completion) -> None:
    student, dataset = student_of(taught), taught.sample.dataset
    run = make_run(dataset, kind=Run.Kind.EVALUATE, is_populated=True)
    SampleDraw.objects.create(run=run, sample=taught.sample, completion=student)

    def found(**wanted: Any) -> list[int]:
        page = find_completions(CompletionFilter(**wanted))
        return [row.completion.pk for row in page.rows]

    assert found() == found(dataset=dataset) == [taught.pk]
    assert found(run_id=run.pk) == found(run_id=run.pk, dataset=dataset) == [student.pk]
    assert found(origin="evaluated") == found(origin="evaluated", dataset=dataset) == [student.pk]
    assert [state.pk for state in each_completion(CompletionFilter())] == [taught.pk]


@IN_ONE_TRANSACTION
def test_a_history_tells_of_the_teachers_attempts_or_of_the_students_answer(
    taught: Completion,
) -> None:
    student = student_of(taught)
    scoring = make_run(taught.sample.dataset, kind=Run.Kind.EVALUATE, is_populated=True)
    SampleDraw.objects.create(run=scoring, sample=taught.sample, completion=student)
    asking = make_run(taught.sample.dataset)
    SampleDraw.objects.create(run=asking, sample=taught.sample, completion=taught)

    def told(completion: Completion) -> tuple[list[int], list[int]]:
        history = completion_history(completion, now=timezone.now())
        return (
            [attempt.completion.pk for attempt in history.attempts],
            [draw.run_id for draw in history.draws],
        )

    assert told(taught) == ([taught.pk], [asking.pk])
    assert told(student) == ([student.pk], [scoring.pk])


@IN_ONE_TRANSACTION
def test_pages_name_the_model_whose_answers_they_show(client, taught: Completion) -> None:
    student = student_of(taught)
    run = score_answers(dataset=taught.sample.dataset, recipe=make_recipe(), completions=[student])
    client.force_login(make_user("operator"))
    page = client.get(reverse("distill:completion", args=[student.pk])).text
    assert STUDENT in page
    assert "in a process of its own" in page
    shown = " ".join(client.get(reverse("distill:run", args=[run.pk])).text.split())
    assert f'answers of <span class="mono">{STUDENT}' in shown
    assert STUDENT in client.get(reverse("distill:runs")).text
    listed = client.get(reverse("distill:completions"), {"origin": "evaluated"}).text
    assert reverse("distill:completion", args=[student.pk]) in listed
    file = client.get(reverse("distill:download_completions"), {"run": run.pk})
    (row,) = [orjson.loads(line) for line in b"".join(file.streaming_content).splitlines()]
    assert (row["teacher"], row["dataset"]) == (STUDENT, taught.sample.dataset.name)


def test_reasons_of_a_scoring_run_are_counted(url: str) -> None:
    dataset, recipe = demo_dataset(2), make_recipe()
    run = score_answers(dataset=dataset, recipe=recipe, completions=stored(dataset, recipe))
    run_step(run.pk, offline_url=url)
    assert Reason.UNPARSEABLE in dict(run_waterfall(run).reasons)
