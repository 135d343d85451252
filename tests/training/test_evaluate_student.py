"""`manage.py evaluate_student`: once with the real programs, else with answers that are there."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from distill.models import Completion
from tests.builders import make_dataset, make_recipe
from tests.training.runner_process import TINY, make_rows, run, write_jsonl
from tests.training.trained import (
    evaluation_layout,
    layout_of,
    make_held_out,
    make_trained,
    plain_recipe,
    write_answers,
)
from training.logic.spec import TrainSpec
from training.models import Evaluation, TrainingRun
from training.services.start_evaluation import start_evaluation

pytestmark = pytest.mark.django_db(transaction=True)


def command(*arguments: str) -> str:
    out = StringIO()
    call_command("evaluate_student", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def answered(num_samples: int = 2) -> Evaluation:
    """A queued evaluation under the recipe "plain" whose answers are there already."""
    dataset = make_dataset()
    make_held_out(dataset, num_samples)
    evaluation = start_evaluation(
        training_run=make_trained(dataset), recipe=plain_recipe(name="plain")
    )
    write_answers(evaluation)
    return evaluation


@pytest.mark.xdist_group("runner")
def test_a_student_that_was_really_trained_is_asked_measured_and_scored() -> None:
    """A tiny student of two steps: what it writes passes nothing, and the card says so."""
    dataset = make_dataset()
    make_held_out(dataset, 2)
    spec = TrainSpec(tiny=TINY, max_length=2048, max_steps=2, validate_every=1000, device="cpu")
    trained = make_trained(dataset, spec=spec.model_dump(mode="json"))
    layout = layout_of(trained)
    layout.model.rmdir()
    layout.base.rmdir()
    for split, count in (("train", 8), ("test", 2)):
        write_jsonl(layout.rows(split), make_rows(count, split=split))
    layout.spec.write_text(spec.model_dump_json())
    assert run("sft", layout) == 0, layout.log.read_text()
    make_recipe(name="brief", teacher={"max_tokens": 16})

    out = command("--run", str(trained.pk), "--recipe", "brief")
    evaluation = Evaluation.objects.get()
    log = evaluation_layout(evaluation).log.read_text()
    assert evaluation.state == "done", log
    student, base = evaluation.report["standings"]
    assert 0 < student["loss"]["loss"] < base["loss"]["loss"] < 8
    assert student["loss"]["rows"] == 2
    assert student["passed"]["n"] == base["passed"]["n"] == 2
    assert student["truncated"]["count"] == 2, "16 tokens are no answer"
    assert evaluation.report["verdict"] == "too_small"
    assert "n too small: 2 held-out samples" in out
    assert f"/training/evaluations/{evaluation.pk}/" in out
    assert Completion.objects.filter(origin="evaluated").count() == 4


def test_the_newest_student_that_is_done_is_taken_and_its_card_printed() -> None:
    evaluation = answered()
    make_trained(state=TrainingRun.State.FAILED)
    out = command("--recipe", "plain")
    assert out.startswith(f"# Report card: evaluation {evaluation.pk} of training run")
    assert "2 of 2 = 100.0 %" in out
    assert "report.md" in out


def test_a_student_is_named_by_its_folder() -> None:
    for inside in ("", "model"):
        evaluation = answered()
        folder = layout_of(evaluation.training_run).folder
        make_trained()
        assert "2 of 2" in command("--model", str(folder / inside), "--recipe", "plain")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "No training run is done yet"),
        (["--run", "99"], "There is no training run 99. Training runs that are done: none yet."),
        (["--model", "/tmp"], "is no folder of a training run"),
    ],
)
def test_a_student_that_is_not_there_is_one_clear_line(arguments, words) -> None:
    with pytest.raises(CommandError, match=words):
        command(*arguments)


def test_a_judge_without_its_key_is_missed_before_anything_is_asked(monkeypatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    dataset = make_dataset()
    make_held_out(dataset, 1)
    make_trained(dataset)
    make_recipe(name="dear", judges=[{"name": "F", "teacher": "openai:gpt-4o"}])
    with pytest.raises(CommandError, match="OPENAI_API_KEY"):
        command("--recipe", "dear")
    assert Evaluation.objects.get().state == "stopped"
    assert not Path(evaluation_layout(Evaluation.objects.get()).folder / "questions.jsonl").exists()
