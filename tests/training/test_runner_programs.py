"""Real trainings and a real evaluation, in processes of their own.

One training is killed with SIGKILL and continued, then student and base answer. All tests here
look at what these three processes left behind.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.training.runner_process import (
    losses,
    make_folder,
    make_rows,
    read_events,
    run,
    start,
    wait_for_step,
    write_jsonl,
)
from training.logic.layout import EvaluationLayout, TrainingLayout
from training.logic.spec import AnswerSpec

pytestmark = pytest.mark.xdist_group("runner")

KEPT = {"sample_id": "question-0", "text": "as it stood", "finish_reason": "stop"}


@dataclass(frozen=True)
class World:
    training: TrainingLayout
    evaluation: EvaluationLayout


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("runner")
    training = make_folder(folder / "training", save_every=20)
    with start("sft", training) as first:
        wait_for_step(first, training, 34)
        first.kill()
    assert read_events(training, "end") == []
    assert run("sft", training) == 0, training.log.read_text()
    evaluation = make_evaluation(folder / "evaluation", training)
    assert run("answer", evaluation) == 0, evaluation.log.read_text()
    return World(training, evaluation)


def make_evaluation(folder: Path, trained: TrainingLayout) -> EvaluationLayout:
    folder.mkdir()
    layout = EvaluationLayout(folder)
    models = {"student": str(trained.model), "base": str(trained.base)}
    spec = AnswerSpec(models=models, max_length=200, max_new_tokens=8, batch_size=2, device="cpu")
    layout.spec.write_text(spec.model_dump_json())
    write_jsonl(layout.held_out, make_rows(3, split="validation"))
    questions = [
        {"sample_id": row["sample_id"], "messages": row["messages"][:-1]}
        for row in make_rows(4, split="question")
    ]
    questions[3]["messages"][1]["content"] *= 50  # longer than max_length
    write_jsonl(layout.questions, questions)
    # As a killed evaluation leaves it: one answer, and half of another.
    layout.answers("student").write_text(json.dumps(KEPT) + '\n{"sample_id": "quest')
    return layout


def test_the_loss_falls_and_every_step_is_logged(world: World) -> None:
    found = losses(world.training)
    assert list(found) == list(range(1, 61))
    assert found[60] < found[1] / 2
    begin = read_events(world.training, "begin")[0]
    assert (begin["max_steps"], begin["num_rows"], begin["world_size"]) == (60, 12, 1)
    last = read_events(world.training, "train")[-1]
    assert last["max_steps"] == 60
    assert last["tokens_per_second"] > 0
    assert last["memory_mib"] > 100
    assert {event["step"] for event in read_events(world.training, "validation")} == {30, 60}


def test_after_a_kill_losses_and_tokens_go_on_exactly(world: World) -> None:
    first, second = (begin["step"] for begin in read_events(world.training, "begin"))
    assert (first, second) in ((0, 20), (0, 40))
    seen: dict[int, list[tuple[float, int]]] = {}
    for event in read_events(world.training, "train"):
        seen.setdefault(event["step"], []).append((event["loss"], event["tokens"]))
    twice = {step: values for step, values in seen.items() if len(values) > 1}
    assert min(twice) == second + 1
    assert len(twice) > 10 or second == 40
    for before, after in twice.values():
        assert after == pytest.approx(before, abs=1e-6)


def test_tokens_are_those_that_the_student_has_read(world: World) -> None:
    begin = read_events(world.training, "begin")[0]
    third = next(event for event in read_events(world.training, "train") if event["step"] == 3)
    assert third["tokens"] == begin["num_tokens"]  # three batches of four are the twelve rows


def test_only_the_newest_checkpoints_are_kept(world: World) -> None:
    kept = sorted(path.name for path in world.training.checkpoints.glob("checkpoint-*"))
    assert kept == ["checkpoint-40", "checkpoint-60"]
    saved = read_events(world.training, "save")[-1]
    assert (world.training.folder / saved["path"]).is_dir()


def test_the_end_says_how_it_went(world: World) -> None:
    end = read_events(world.training, "end")[0]
    assert (end["why"], end["step"], end["model"]) == ("done", 60, "model")
    assert end["train_loss"] == pytest.approx(sum(losses(world.training).values()) / 60)


def test_the_card_names_rows_spec_and_the_stand_in(world: World) -> None:
    card = (world.training.model / "README.md").read_text()
    assert "12 of 12 rows were written by the offline stand-in teacher" in card
    assert "SHA-256 of train.jsonl" in card
    assert "learning_rate: 0.003" in card


def test_started_again_a_done_training_changes_nothing(world: World) -> None:
    before = {path: path.stat().st_mtime_ns for path in world.training.model.iterdir()}
    assert run("sft", world.training) == 0
    assert {path: path.stat().st_mtime_ns for path in world.training.model.iterdir()} == before
    first, second = read_events(world.training, "end")
    del first["at"], second["at"]
    assert first == second


def test_the_result_loads_and_its_held_out_loss_is_the_trainers(world: World) -> None:
    student, base = (json.loads(world.evaluation.loss(role).read_text()) for role in ROLES)
    [*_, validation] = read_events(world.training, "validation")
    assert student["loss"] == pytest.approx(validation["loss"], abs=1e-4)
    assert base["loss"] > 2 * student["loss"]
    assert (student["rows"], student["too_long"]) == (3, 0)


ROLES = ("student", "base")


def test_answers_go_on_where_they_stood(world: World) -> None:
    for role in ROLES:
        lines = world.evaluation.answers(role).read_text().splitlines()
        answers = [json.loads(line) for line in lines]
        assert [answer["sample_id"] for answer in answers] == [f"question-{i}" for i in range(4)]
        assert (answers[0] == KEPT) is (role == "student")
        too_long = answers[3]
        assert (too_long["text"], too_long["finish_reason"]) == ("", "length")
        assert too_long["prompt_tokens"] > 200
        assert all(answer["completion_tokens"] <= 8 for answer in answers[1:])
    progress = read_events(world.evaluation, "answer")
    assert [(event["role"], event["done"]) for event in progress] == [
        *[("student", done) for done in (1, 3, 4)],
        *[("base", done) for done in (0, 2, 4)],
    ]
    assert read_events(world.evaluation, "end")[-1]["why"] == "done"
