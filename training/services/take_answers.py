"""Take what the program of an evaluation wrote into the database: answers, losses, scoring runs."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from distill.models import Completion, Dataset, Run, Sample
from distill.services.runs import resume_run
from distill.services.score_answers import score_answers
from distill.services.store_answers import ModelAnswer, store_answers
from training.logic.layout import EvaluationLayout
from training.logic.spec import TINY
from training.models import Contender, Evaluation
from training.services import lease

ROLES = (Contender.Role.STUDENT, Contender.Role.BASE)


def take_answers(*, evaluation: Evaluation, token: uuid.UUID, layout: EvaluationLayout) -> bool:
    """Store the answers as completions, ready to be scored, and move the evaluation on.

    All of it in one transaction; False where the evaluation was stopped meanwhile. Samples that
    are gone from the dataset are left out. Raises LeaseLostError.
    """
    with lease.holding(Evaluation, pk=evaluation.pk, token=token):
        for role in ROLES:
            _take(evaluation, role, layout)
        return lease.move(
            Evaluation,
            pk=evaluation.pk,
            token=token,
            since=[Evaluation.State.ANSWERING],
            to=Evaluation.State.SCORING,
        )


def asked_keys(layout: EvaluationLayout) -> list[str]:
    """The keys of the samples that were asked about, in their order."""
    return [str(line["sample_id"]) for line in _lines(layout.questions.read_bytes())]


def is_answered(layout: EvaluationLayout) -> bool:
    """Whether everything that the program shall write is there."""
    wanted = set(asked_keys(layout))
    needs_loss = layout.held_out.exists()
    return all(
        wanted <= set(_answers(layout, role)) and (layout.loss(role).exists() or not needs_loss)
        for role in ROLES
    )


def _take(evaluation: Evaluation, role: Contender.Role, layout: EvaluationLayout) -> None:
    training_run = evaluation.training_run
    contender, _ = Contender.objects.update_or_create(
        evaluation=evaluation,
        role=role,
        defaults={"name": f"{role}:{training_run.pk}", **_loss(layout, role)},
    )
    if contender.run is not None:
        resume_unless_done(contender.run)
        return
    dataset = training_run.dataset
    completions = _store(evaluation, contender, dataset, layout) if dataset else []
    if dataset is not None and completions:
        contender.run = score_answers(
            dataset=dataset,
            recipe=evaluation.recipe,
            completions=completions,
            user=evaluation.created_by,
        )
        contender.save(update_fields=["run"])


def resume_unless_done(run: Run) -> None:
    """Let a scoring that failed or was stopped go on."""
    if run.state != Run.State.DONE:
        resume_run(run_id=run.pk)


def _store(
    evaluation: Evaluation, contender: Contender, dataset: Dataset, layout: EvaluationLayout
) -> list[Completion]:
    found = _answers(layout, contender.role)
    samples = {
        sample.key: sample for sample in Sample.objects.filter(dataset=dataset, key__in=found)
    }
    answers = [
        ModelAnswer(
            sample=samples[key],
            text=found[key]["text"],
            finish_reason=found[key]["finish_reason"],
            prompt_tokens=found[key]["prompt_tokens"],
            completion_tokens=found[key]["completion_tokens"],
            latency_ms=found[key]["latency_ms"],
        )
        for key in asked_keys(layout)
        if key in samples
    ]
    return store_answers(
        recipe=evaluation.recipe,
        teacher=contender.name,
        model=model_name(evaluation, contender.role),
        answers=answers,
    )


def model_name(evaluation: Evaluation, role: str) -> str:
    """Which weights a contender has, as people can find them: below the data folder, or a hub id."""
    run = evaluation.training_run
    if role == Contender.Role.STUDENT:
        return f"{run.folder}/model"
    return f"{run.folder}/base" if run.spec["student"] == TINY else str(run.spec["student"])


def _answers(layout: EvaluationLayout, role: str) -> Mapping[str, dict[str, Any]]:
    """The answers by sample key; a last line that a kill left half is none."""
    path = layout.answers(role)
    if not path.exists():
        return {}
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    return {line["sample_id"]: line for line in _lines(whole)}


def _lines(content: bytes) -> Iterator[dict[str, Any]]:
    for line in content.splitlines():
        yield orjson.loads(line)


def _loss(layout: EvaluationLayout, role: str) -> dict[str, object]:
    path = layout.loss(role)
    if not path.exists():
        return {}
    found = orjson.loads(path.read_bytes())
    return {
        "loss": found["loss"],
        "loss_tokens": found["tokens"],
        "loss_rows": found["rows"],
    }
