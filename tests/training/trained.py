"""What tests of evaluations share: a training that is done, and a program that answers at once."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings

from distill.models import Dataset, Recipe, Sample
from tests.builders import PAIR, make_recipe, make_sample
from training.logic.layout import EvaluationLayout, TrainingLayout
from training.logic.spec import TrainSpec
from training.models import Evaluation, TrainingRun
from training.services import follow_evaluation as following
from training.services.prepare_evaluation import prepare_evaluation
from training.services.take_answers import asked_keys

PASSAGE = (
    "Nitrification slows when soils dry. In plots at 12 % moisture, nitrate rose by 3 mg per kg "
    "within 28 days, while plots at 30 % moisture gained 11 mg per kg. We measured ammonia-"
    "oxidising bacteria weekly and compared the slopes with a mixed model. "
)
PROGRAM = """
import json, pathlib, sys, time
folder, seconds, code = pathlib.Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
questions = [json.loads(line) for line in (folder / "questions.jsonl").read_text().splitlines()]
def event(**words):
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(words) + "\\n")
print("loading weights", flush=True)
if code:
    event(kind="error", message="The weights are broken.")
    sys.exit(code)
for role, loss in (("student", 2.5), ("base", 8.25)):
    measured = {"loss": loss, "tokens": 900, "rows": 6, "too_long": 1}
    (folder / f"loss-{role}.json").write_text(json.dumps(measured))
    path = folder / f"answers-{role}.jsonl"
    done = len(path.read_text().splitlines()) if path.exists() else 0
    for number, question in enumerate(questions[done:], start=done + 1):
        if (folder / "stop").exists():
            sys.exit(0)
        time.sleep(seconds)
        text = sys.argv[4] if role == "student" else "no such thing"
        with path.open("a") as file:
            file.write(json.dumps({"sample_id": question["sample_id"], "text": text,
                "finish_reason": "stop" if role == "student" else "length",
                "prompt_tokens": 90, "completion_tokens": 60, "latency_ms": 5}) + "\\n")
        event(kind="answer", role=role, done=number, total=len(questions))
"""


def make_trained(
    dataset: Dataset | None = None, *, rows: int = 3, test_rows: int = 2, **fields: object
) -> TrainingRun:
    """A training run that is done, with its folder; its rows are of no sample of the dataset."""
    defaults = {
        "name": "baseline",
        "state": TrainingRun.State.DONE,
        "source": {"name": "demo v1", "sha256": "0" * 64, "rows": {"train": rows}},
        "spec": TrainSpec().model_dump(mode="json"),
    }
    run = TrainingRun.objects.create(dataset=dataset, **(defaults | fields))
    run.folder = f"processed/training/run-{run.pk}"
    run.save()
    layout = layout_of(run)
    layout.model.mkdir(parents=True)
    layout.base.mkdir()
    write_rows(layout, "train", rows)
    if test_rows:
        write_rows(layout, "test", test_rows)
    return run


def layout_of(run: TrainingRun) -> TrainingLayout:
    return TrainingLayout(Path(settings.DATA_DIR) / run.folder)


def evaluation_layout(evaluation: Evaluation) -> EvaluationLayout:
    return EvaluationLayout(Path(settings.DATA_DIR) / evaluation.folder)


def write_rows(layout: TrainingLayout, split: str, count: int, **fields: object) -> None:
    row = {
        "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
        "split": split,
    }
    lines = [
        row | {"sample_id": f"{split}-{number}", "source_id": f"{split}-paper-{number}"} | fields
        for number in range(count)
    ]
    layout.rows(split).write_text("".join(json.dumps(line) + "\n" for line in lines))


def make_held_out(dataset: Dataset, count: int, *, split: str = Sample.Split.TEST) -> list[Sample]:
    """Held-out samples in the order of their keys."""
    made = [make_sample(dataset, split=split, text=PASSAGE * 3) for _ in range(count)]
    return sorted(made, key=lambda sample: sample.key)


def plain_recipe(**content: object) -> Recipe:
    """A recipe whose gate asks no judge."""
    return make_recipe(judges=[], **content)


def program(*, seconds: float = 0, code: int = 0) -> Callable[[EvaluationLayout], Sequence[str]]:
    """The command of a program that answers: the student well, its base badly."""
    text = json.dumps(PAIR)
    return lambda layout: [
        *(sys.executable, "-c", PROGRAM, str(layout.folder)),
        *(str(seconds), str(code), text),
    ]


def write_answers(evaluation: Evaluation) -> None:
    """Leave what that program would, without a process."""
    layout = evaluation_layout(evaluation)
    prepare_evaluation(evaluation=evaluation, layout=layout)
    for role, loss in (("student", 2.5), ("base", 8.25)):
        measured = {"loss": loss, "tokens": 900, "rows": 6, "too_long": 1}
        layout.loss(role).write_text(json.dumps(measured))
        is_student = role == "student"
        answers = [
            {
                "sample_id": key,
                "text": json.dumps(PAIR) if is_student else "no such thing",
                "finish_reason": "stop" if is_student else "length",
                "prompt_tokens": 90,
                "completion_tokens": 60,
                "latency_ms": 5,
            }
            for key in asked_keys(layout)
        ]
        layout.answers(role).write_text("".join(json.dumps(one) + "\n" for one in answers))
        words = {"kind": "answer", "role": role, "done": len(answers), "total": len(answers)}
        with layout.metrics.open("a") as file:
            file.write(json.dumps(words) + "\n")


def follow(evaluation: Evaluation, *, seconds: float = 60, **options: Any) -> str:
    """Follow it, with another program than the real one if that is given, else with answers that
    are there already; bring the row up to date."""
    if "argv" not in options and evaluation.is_active:
        write_answers(evaluation)
    options = {"argv": program()} | options
    state = following._follow(evaluation.pk, seconds=seconds, **options)
    evaluation.refresh_from_db()
    return state
