"""Write what the program of an evaluation reads: questions, held-out rows and its spec."""

from __future__ import annotations

import shutil

import orjson

from distill.logic.errors import InputError
from distill.logic.recipe import Recipe
from distill.logic.types import Message
from distill.models import Sample
from distill.queries.sent_messages import first_messages
from distill.services.files import atomic_path
from training.launcher import look
from training.logic.layout import EvaluationLayout, TrainingLayout
from training.logic.spec import TINY, AnswerSpec, TrainSpec
from training.models import Evaluation
from training.services.held_out import choose_held_out, held_out_rows, training_layout


def prepare_evaluation(*, evaluation: Evaluation, layout: EvaluationLayout) -> int:
    """Fill the evaluation's folder; return how many answers are wanted in all.

    What was asked before is asked again: questions that stand there stay. Raises InputError where
    what is held out was trained on, or nothing can be written.
    """
    run, recipe = evaluation.training_run, evaluation.recipe.content
    trained = training_layout(run)
    layout.folder.mkdir(parents=True, exist_ok=True)
    if not layout.questions.exists():
        held_out = choose_held_out(training_run=run, limit=evaluation.sample_limit)
        _write_held_out(trained, layout)
        with atomic_path(layout.questions) as draft:
            draft.write_bytes(b"".join(_question(recipe, one) for one in held_out.samples))
    spec = answer_spec(TrainSpec.model_validate(run.spec), trained, recipe)
    with atomic_path(layout.spec) as draft:
        draft.write_text(spec.model_dump_json(indent=2), encoding="utf-8")
    if not look(layout).is_alive:
        # How an earlier process ended is no news of the one to come.
        layout.exit.unlink(missing_ok=True)
        layout.stop.unlink(missing_ok=True)
    return len(spec.models) * len(layout.questions.read_bytes().splitlines())


def answer_spec(spec: TrainSpec, trained: TrainingLayout, recipe: Recipe) -> AnswerSpec:
    """Ask the student and what it was trained from, on the device that it was trained on.

    An answer may have as many tokens as the teacher's, but at most half of what a whole row had.
    """
    return AnswerSpec(
        models={"student": str(trained.model), "base": base_model(spec, trained)},
        revision=spec.revision,
        max_length=spec.max_length,
        max_new_tokens=min(recipe.teacher.max_tokens, max(16, spec.max_length // 2)),
        device=spec.device,
        threads=spec.threads,
    )


def base_model(spec: TrainSpec, trained: TrainingLayout) -> str:
    """The folder or hub id of the weights before the training."""
    return str(trained.base) if spec.student == TINY else spec.student


def _write_held_out(trained: TrainingLayout, layout: EvaluationLayout) -> None:
    if found := held_out_rows(trained):
        with atomic_path(layout.held_out) as draft:
            shutil.copyfile(found[1], draft)


def _question(recipe: Recipe, sample: Sample) -> bytes:
    """One line: the messages as a training row has them, without the assistant's."""
    messages = [
        {"role": message.role, "content": message.content}
        for message in _messages(recipe, sample)
        if recipe.export.include_system or message.role != "system"
    ]
    line = {"sample_id": sample.key, "messages": messages}
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _messages(recipe: Recipe, sample: Sample) -> tuple[Message, ...]:
    try:
        return first_messages(recipe, sample)
    except InputError:
        # As in an export: an imported sample may name a template of its own.
        return (Message("user", f"{sample.instruction}\n\n{sample.text}".strip()),)
