"""An evaluation from its start to its report card: what it asks, refuses, survives."""

from __future__ import annotations

import os
import signal
import threading
import time
from datetime import timedelta

import orjson
import pytest
from django.db import connection
from django.utils import timezone

from distill.logic.errors import ConflictError, InputError
from distill.models import Completion, Run, Sample, Shift, Verdict
from distill.queries.waterfall import balance
from distill.services.delete_dataset import delete_dataset
from distill.teachers.offline import offline_teacher
from tests.builders import make_completion, make_dataset, make_recipe, make_run, make_verdict
from tests.training.trained import (
    evaluation_layout,
    follow,
    layout_of,
    make_held_out,
    make_trained,
    plain_recipe,
    program,
    write_rows,
)
from training import launcher
from training.models import Contender, Evaluation, TrainingRun
from training.services.start_evaluation import recipe_of, start_evaluation
from training.services.stop_evaluation import stop_evaluation

pytestmark = pytest.mark.django_db(transaction=True)
_State = Evaluation.State
# Where no thread looks on: a rollback is quicker than emptying all tables.
IN_ONE_TRANSACTION = pytest.mark.django_db(transaction=False)


def started(num_samples: int = 4, **options) -> Evaluation:
    """A queued evaluation over so many held-out samples."""
    dataset = make_dataset()
    make_held_out(dataset, num_samples)
    options = {"recipe": plain_recipe()} | options
    return start_evaluation(training_run=make_trained(dataset), **options)


# --- from start to card ---


def test_an_evaluation_ends_with_a_report_card() -> None:
    evaluation = started(12)
    seen: list[tuple[str, int, int]] = []
    state = follow(
        evaluation, on_progress=lambda one: seen.append((one.state, one.done, one.total))
    )
    assert state == evaluation.state == _State.DONE, evaluation.message
    report = evaluation.report
    assert report["verdict"] == "learned"
    assert report["title"] == "The student learned"
    assert report["detail"].startswith("The student passes 12 of 12")
    student, base = report["standings"]
    assert (student["loss"]["loss"], base["loss"]["loss"]) == (2.5, 8.25)
    assert base["truncated"]["count"] == 12
    assert student["passed"]["low"] == pytest.approx(0.7575, abs=1e-3)
    assert (evaluation.num_answered, evaluation.num_wanted) == (24, 24)
    assert ("done", 24, 24) in seen
    text = (evaluation_layout(evaluation).folder / "report.md").read_text()
    assert "12 of 12 = 100.0 % (75." in text


def test_questions_are_those_of_a_first_attempt_in_the_order_of_the_samples_keys() -> None:
    evaluation = started(3, recipe=plain_recipe(export={"include_system": False}))
    follow(evaluation)
    lines = evaluation_layout(evaluation).questions.read_bytes().splitlines()
    questions = [orjson.loads(line) for line in lines]
    keys = [question["sample_id"] for question in questions]
    assert keys == sorted(keys)
    assert [message["role"] for message in questions[0]["messages"]] == ["user"]
    assert "Nitrification slows" in questions[0]["messages"][0]["content"]


def test_answers_become_completions_of_student_and_base_and_every_one_ends_somewhere() -> None:
    evaluation = started(4)
    follow(evaluation)
    run = evaluation.training_run
    for role in ("student", "base"):
        contender = evaluation.contenders.get(role=role)
        assert contender.name == f"{role}:{run.pk}"
        scoring = Run.objects.get(pk=contender.run.pk)
        assert scoring.kind == Run.Kind.EVALUATE
        sums = balance(scoring)
        assert sums.accounted == sums.total == 4
        assert sums.pending == 0
        assert Completion.objects.filter(teacher=contender.name).count() == 4
        assert sums.eligible == (4 if role == "student" else 0)


def test_a_judge_is_asked_once_for_what_passed_the_rules() -> None:
    evaluation = started(3, recipe=make_recipe())
    with offline_teacher(0) as url:
        assert follow(evaluation, offline_url=url) == _State.DONE
    student = evaluation.contenders.get(role="student").run
    base = evaluation.contenders.get(role="base").run
    # The student's three answers differ in their sample alone: three requests, or fewer.
    assert 1 <= student.purchases.count() <= 3
    assert base.purchases.count() == 0
    assert evaluation.report["standings"][0]["score"]["n"] == 3
    assert evaluation.report["is_standin"]


def test_the_teacher_is_compared_by_its_stored_first_attempts() -> None:
    evaluation = started(4)
    samples = list(Sample.objects.order_by("key"))
    scored = make_run(samples[0].dataset, recipe=evaluation.recipe)
    first = make_completion(samples[0])
    make_verdict(first, scored)
    make_completion(samples[0], attempt=2, parent=first)
    undecided = make_completion(samples[1])
    follow(evaluation)
    teacher = evaluation.report["standings"][2]
    assert (teacher["role"], teacher["num_samples"], teacher["num_undecided"]) == ("teacher", 1, 1)
    sides = evaluation.report["samples"]
    assert sides[0]["teacher"]["completion"] == first.pk
    assert sides[1]["teacher"]["completion"] == undecided.pk
    assert "teacher" not in sides[2]
    assert evaluation.contenders.get(role="teacher").name == "offline:extractive"
    assert any("first attempts at 2 of 4" in note for note in evaluation.report["notes"])


def test_a_verdict_of_another_recipe_is_said_to_be_one() -> None:
    evaluation = started(2)
    sample = Sample.objects.order_by("key").first()
    make_verdict(make_completion(sample), make_run(sample.dataset, recipe=make_recipe(name="else")))
    follow(evaluation)
    assert any(
        "1 of the teacher's verdicts are of other" in one for one in evaluation.report["notes"]
    )


@IN_ONE_TRANSACTION
def test_without_a_dataset_only_losses_are_measured() -> None:
    evaluation = start_evaluation(training_run=make_trained())
    assert follow(evaluation) == _State.DONE
    assert evaluation.report["verdict"] == "losses_only"
    assert "fell from 8.250 (base) to 2.500" in evaluation.report["detail"]
    assert (
        "dataset of what it was trained on is not in this database" in evaluation.report["notes"][0]
    )
    assert not Completion.objects.exists()


def test_validation_samples_stand_in_where_there_are_no_test_samples() -> None:
    dataset = make_dataset()
    make_held_out(dataset, 2, split=Sample.Split.VALIDATION)
    run = make_trained(dataset, test_rows=0)
    write_rows(layout_of(run), "validation", 2)
    evaluation = start_evaluation(training_run=run, recipe=plain_recipe())
    follow(evaluation)
    notes = " ".join(evaluation.report["notes"])
    assert "those of the validation split were asked" in notes
    assert "the loss is that of its validation rows" in notes


def test_at_most_so_many_samples_are_asked_and_the_card_says_of_how_many() -> None:
    evaluation = started(5, sample_limit=2)
    follow(evaluation)
    assert len(evaluation.report["samples"]) == 2
    assert any("2 of the 5 test samples" in note for note in evaluation.report["notes"])


# --- what it refuses ---


@IN_ONE_TRANSACTION
@IN_ONE_TRANSACTION
@pytest.mark.parametrize("state", ["queued", "running", "stopped", "failed"])
def test_only_a_student_that_is_done_is_evaluated(state: str) -> None:
    run = make_trained(state=state)
    with pytest.raises(InputError, match=f"{run.pk} is {state}: only a student that is done"):
        start_evaluation(training_run=run)


@IN_ONE_TRANSACTION
def test_a_model_that_is_gone_is_missed_before_anything_is_queued() -> None:
    run = make_trained()
    layout_of(run).model.rmdir()
    with pytest.raises(InputError, match="is not in this host's data folder"):
        start_evaluation(training_run=run)
    assert not Evaluation.objects.exists()


@IN_ONE_TRANSACTION
def test_nothing_held_out_is_said_before_anything_is_queued() -> None:
    dataset = make_dataset()
    with pytest.raises(InputError, match="Nothing is held out"):
        start_evaluation(training_run=make_trained(dataset, test_rows=0))


@pytest.mark.parametrize("limit", [0, -1, 2_001])
def test_a_limit_out_of_range_is_refused(limit: int) -> None:
    with pytest.raises(InputError, match=r"Ask about 1 to 2,000 samples"):
        start_evaluation(training_run=make_trained(), sample_limit=limit)


@IN_ONE_TRANSACTION
def test_what_was_trained_on_is_never_asked() -> None:
    """Invariant 7: the sample itself, its source, or a near-duplicate of its source."""
    dataset = make_dataset()
    (sample,) = make_held_out(dataset, 1)
    twin = Sample.objects.get(pk=sample.pk)
    twin.pk, twin.key, twin.split, twin.source_key = None, "f" * 32, "train", "a reprint"
    twin.save()
    for learnt in (
        {"sample_id": sample.key},
        {"source_id": sample.source_key},
        {"source_id": "a reprint", "sample_id": []},
        {"sample_id": twin.key},
    ):
        run = make_trained(dataset)
        write_rows(layout_of(run), "train", 2, **learnt)
        with pytest.raises(InputError, match=f"{sample.key[:12]} of source “document"):
            start_evaluation(training_run=run)
    assert not Evaluation.objects.exists()


# --- twice ---


def test_starting_twice_is_one_evaluation_also_at_the_same_moment() -> None:
    first = started()
    found: list[int] = []

    def start() -> None:
        run = TrainingRun.objects.get(pk=first.training_run_id)
        found.append(start_evaluation(training_run=run, recipe=first.recipe).pk)
        connection.close()

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found == [first.pk] * 3


@IN_ONE_TRANSACTION
def test_another_one_beside_it_is_refused() -> None:
    first = started()
    with pytest.raises(ConflictError, match=f"Evaluation {first.pk} of training run"):
        start_evaluation(training_run=first.training_run, recipe=first.recipe, sample_limit=7)


def test_following_what_has_ended_changes_nothing() -> None:
    evaluation = started()
    follow(evaluation)
    before = evaluation.report, Completion.objects.count(), Verdict.objects.count()
    assert follow(evaluation) == "held"
    assert (evaluation.report, Completion.objects.count(), Verdict.objects.count()) == before


def test_evaluating_again_gives_the_same_card_and_stores_no_answer_twice() -> None:
    first = started()
    follow(first)
    again = start_evaluation(training_run=first.training_run, recipe=first.recipe)
    assert again.pk != first.pk
    follow(again)
    assert again.report == first.report | {"facts": again.report["facts"]}
    assert Completion.objects.count() == 8


# --- stop, failure, kill ---


@IN_ONE_TRANSACTION
def test_stopping_a_queued_one_ends_it_and_twice_is_harmless() -> None:
    evaluation = started()
    assert stop_evaluation(evaluation_id=evaluation.pk)
    assert not stop_evaluation(evaluation_id=evaluation.pk)
    assert follow(evaluation) == "held"
    assert evaluation.state == _State.STOPPED
    assert evaluation.finished_at


def test_stopping_ends_the_process_and_evaluating_again_goes_on() -> None:
    evaluation = started(6)
    layout = evaluation_layout(evaluation)

    def stop_soon(progress) -> None:
        if progress.done >= 2:
            stop_evaluation(evaluation_id=evaluation.pk)

    slowly = program(seconds=0.3)
    assert follow(evaluation, argv=slowly, on_progress=stop_soon) == _State.STOPPED
    until = time.monotonic() + 10
    while launcher.look(layout).is_alive:
        assert time.monotonic() < until
        time.sleep(0.1)
    answered = layout.answers("student").read_bytes()
    assert 2 <= len(answered.splitlines()) < 6
    again = start_evaluation(training_run=evaluation.training_run, recipe=evaluation.recipe)
    assert again.pk == evaluation.pk
    assert follow(evaluation, argv=program()) == _State.DONE
    assert layout.answers("student").read_bytes().startswith(answered)


def test_a_program_that_fails_says_why_and_can_be_tried_again() -> None:
    evaluation = started()
    assert follow(evaluation, argv=program(code=1)) == _State.FAILED
    assert evaluation.message == "The weights are broken."
    assert evaluation.lease_token is None
    start_evaluation(training_run=evaluation.training_run, recipe=evaluation.recipe)
    assert follow(evaluation) == _State.DONE


def test_a_program_that_ends_without_a_word_is_told_by_its_log(monkeypatch) -> None:
    monkeypatch.setattr("training.services.follow_evaluation.MAX_STARTS", 1)
    evaluation = started()
    quiet = ["python", "-c", "print('almost there'); raise SystemExit(3)"]
    assert follow(evaluation, argv=lambda _layout: quiet) == _State.FAILED
    assert "almost there" in evaluation.message
    start_evaluation(training_run=evaluation.training_run, recipe=evaluation.recipe)
    idle = ["python", "-c", "pass"]
    assert follow(evaluation, argv=lambda _layout: idle) == _State.FAILED
    assert "ended 1 times before it was done" in evaluation.message


def test_a_follower_that_has_no_time_left_leaves_the_process_to_the_next() -> None:
    evaluation = started(2)
    slowly = program(seconds=0.4)
    assert follow(evaluation, argv=slowly, seconds=0.5) == _State.ANSWERING
    assert launcher.look(evaluation_layout(evaluation)).is_alive

    def never(_layout):
        raise AssertionError("it runs already")

    assert follow(evaluation, argv=never) == _State.DONE
    assert evaluation.report["standings"][0]["num_missing"] == 0


def test_a_process_killed_with_its_shim_is_started_again_and_asks_nothing_twice() -> None:
    evaluation = started(6)
    layout = evaluation_layout(evaluation)
    slowly = program(seconds=0.2)
    some = layout.answers("student").exists
    assert follow(evaluation, argv=slowly, is_stopping=some) == _State.ANSWERING
    shim = orjson.loads(layout.process.read_bytes())["pid"]
    os.killpg(shim, signal.SIGKILL)
    before = layout.answers("student").read_bytes()
    assert follow(evaluation, argv=program()) == _State.DONE
    assert layout.answers("student").read_bytes().startswith(before)
    assert len(layout.answers("student").read_bytes().splitlines()) == 6


def test_a_worker_that_died_while_scoring_is_taken_over() -> None:
    """The lease of a dead one is as it left it: held, and silent."""
    evaluation = started()
    assert follow(evaluation, is_stopping=lambda: True) == _State.ANSWERING
    states: list[str] = []

    def dies_while_scoring(progress) -> None:
        states.append(progress.state)
        if progress.state == _State.SCORING:
            raise SystemExit

    with pytest.raises(SystemExit):
        follow(evaluation, on_progress=dies_while_scoring, seconds=60)
    evaluation.refresh_from_db()
    if evaluation.lease_token is not None:
        silent = timezone.now() - timedelta(minutes=1)
        Evaluation.objects.filter(pk=evaluation.pk).update(heartbeat_at=silent)
    Shift.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=1))
    assert follow(evaluation) == _State.DONE
    assert Verdict.objects.count() == 8


def test_one_of_another_host_is_left_to_it_and_taken_over_when_that_is_silent() -> None:
    evaluation = started()
    rows = Evaluation.objects.filter(pk=evaluation.pk)
    rows.update(state=_State.ANSWERING, host="elsewhere", heartbeat_at=timezone.now())
    assert follow(evaluation) == "elsewhere"
    rows.update(heartbeat_at=timezone.now() - timedelta(minutes=6))
    assert follow(evaluation) == _State.DONE


def test_a_judge_that_is_not_there_fails_the_evaluation_and_mending_it_goes_on() -> None:
    evaluation = started(2, recipe=make_recipe(retry={"max_attempts": 1, "base_seconds": 0.01}))
    assert follow(evaluation, offline_url="http://127.0.0.1:9/v1") in (_State.DONE, _State.FAILED)
    report = evaluation.report
    assert report["standings"][0]["num_undecided"] == 2
    assert any("2 of the student's answers have no verdict" in note for note in report["notes"])


def test_a_dataset_that_is_deleted_meanwhile_leaves_the_losses() -> None:
    evaluation = started(3)
    dataset_id = evaluation.training_run.dataset.pk

    def delete(progress) -> None:
        if progress.state == _State.ANSWERING:
            delete_dataset(dataset_id=dataset_id)

    state = follow(evaluation, argv=program(seconds=0.1), on_progress=delete)
    assert state == _State.DONE, evaluation.message
    assert evaluation.report["verdict"] == "losses_only"
    assert [one["num_missing"] for one in evaluation.report["standings"]] == [0, 0]
    assert "dataset of what it was trained on is not in this" in evaluation.report["notes"][0]


# --- which recipe ---


@IN_ONE_TRANSACTION
def test_the_recipe_is_that_of_the_newest_pipeline_or_the_default() -> None:
    dataset = make_dataset()
    run = make_trained(dataset)
    assert recipe_of(run).name == "default"
    wanted = make_recipe(name="mine")
    make_run(dataset, recipe=wanted)
    make_run(dataset, recipe=make_recipe(name="scoring"), kind=Run.Kind.EVALUATE)
    assert recipe_of(run) == wanted


def test_every_contender_stands_once_in_the_table() -> None:
    evaluation = started(1)
    follow(evaluation)
    assert sorted(Contender.objects.values_list("role", flat=True)) == ["base", "student"]
