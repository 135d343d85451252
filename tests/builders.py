"""Small builders of test data: each makes one thing, and what it needs unless it is given."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.utils import timezone

from distill.http import RoleName
from distill.logic.pulse import Pulse, write_pulse
from distill.logic.reading import LaneReading, Reading
from distill.logic.reasons import Reason, Stage
from distill.logic.recipe import Recipe as RecipeContent
from distill.logic.recipe import default_recipe
from distill.models import (
    Completion,
    CompletionState,
    Dataset,
    Decision,
    Export,
    Judgement,
    Label,
    Recipe,
    Run,
    RunReading,
    Sample,
    SampleDraw,
    Shift,
    SourceFile,
    Verdict,
)
from distill.queries.opinions import stamps_of
from distill.services.recipes import save_recipe
from review.logic.queue_filter import QueueFilter
from review.logic.ways import Ways
from review.models import Queue
from review.services.create import create_queue
from review.services.fill import DEFAULT_NAME, fill_queue
from review.services.read import read_guidelines
from training.logic.layout import TrainingLayout
from training.logic.spec import TrainSpec
from training.models import Metric, TrainingRun

PASSWORD = "correct horse battery staple"

PAIR = {
    "hypothesis": "If soil moisture falls below 12 %, nitrifying bacteria halve their activity.",
    "methodology": (
        "Incubate 24 soil cores at five moisture levels for 28 days; measure nitrate weekly "
        "and compare the slopes with a mixed model."
    ),
}
SCORES = {
    "plausibility": 0.9,
    "falsifiability": 0.85,
    "method_rigour": 0.8,
    "reproducibility": 0.9,
    "grounding": 0.95,
}

_numbers = itertools.count(1)


def make_user(*roles: RoleName, name: str = "", is_superuser: bool = False) -> User:
    """A person with the roles named, who logs in with PASSWORD."""
    user = User.objects.create_user(
        name or f"person-{next(_numbers)}", password=PASSWORD, is_superuser=is_superuser
    )
    for role in roles:
        user.groups.add(Group.objects.get_or_create(name=role)[0])
    return user


def make_dataset(name: str = "") -> Dataset:
    return Dataset.objects.create(name=name or f"dataset-{next(_numbers)}")


def make_sample(dataset: Dataset | None = None, **fields: object) -> Sample:
    """A sample of its own source document; `fields` are the model's."""
    dataset = dataset or make_dataset()
    number = next(_numbers)
    source_file, _ = SourceFile.objects.get_or_create(
        dataset=dataset,
        name="papers.jsonl",
        defaults={"sha256": "0" * 64, "size_bytes": 1, "mapping": {"text": "source"}},
    )
    defaults: dict[str, object] = {
        "source_file": source_file,
        "line": number,
        "key": f"{number:032x}",
        "source_key": f"document-{number}",
        "group_key": f"document-{number}",
        "split": Sample.Split.TRAIN,
        "domain": "soil science",
        "title": f"Nitrification under drought, part {number}",
        "text": f"Passage {number}. Nitrification slows when soils dry. " * 6,
    }
    return Sample.objects.create(dataset=dataset, **(defaults | fields))


def make_completion(
    sample: Sample | None = None,
    *,
    dataset: Dataset | None = None,
    state: str = CompletionState.State.PASSED,
    fields: Mapping[str, str] | None = None,
    reasons: Sequence[Reason] = (),
    mean_score: float | None = 0.88,
    is_open: bool = True,
    **model_fields: object,
) -> Completion:
    """A completion with its state row; `model_fields` are the completion's further ones."""
    sample = sample or make_sample(dataset)
    answer = dict(PAIR if fields is None else fields)
    defaults: dict[str, object] = {
        "key": f"{next(_numbers):032x}",
        "teacher": "offline:extractive",
        "model": "extractive",
        "template_name": "pair",
        "text": "\n\n".join(answer.values()),
        "fields": answer,
        "finish_reason": "stop",
    }
    completion = Completion.objects.create(sample=sample, **(defaults | model_fields))
    CompletionState.objects.create(
        completion=completion,
        dataset_id=sample.dataset_id,
        state=state,
        is_open=is_open,
        reasons=list(reasons),
        mean_score=mean_score,
    )
    return completion


def make_judgement(
    completion: Completion, *, scores: Mapping[str, float] | None = None, **fields: object
) -> Judgement:
    by_dimension = dict(SCORES if scores is None else scores)
    defaults: dict[str, object] = {
        "judge": "rubric",
        "teacher": "offline:rubric",
        "rubric_version": "1",
        "scores": by_dimension,
        "mean_score": sum(by_dimension.values()) / len(by_dimension),
        "rationale": "Clear prediction, measurable outcome.",
    }
    return Judgement.objects.create(completion=completion, **(defaults | fields))


def asked_as(recipe: RecipeContent | None = None, judge: str = "F") -> dict[str, Any]:
    """Fields of a judgement that a recipe's judge (the default recipe's) would have given."""
    content = recipe or default_recipe()
    teacher, stamp = stamps_of(content)[judge]
    return {"judge": judge, "teacher": teacher, "rubric_version": stamp}


def make_recipe(**content: object) -> Recipe:
    """A saved recipe; `content` are the document's fields (`name`, `teacher`, `export`, …)."""
    return save_recipe(content=RecipeContent.model_validate(content))


def make_run(
    dataset: Dataset | None = None, *, recipe: Recipe | None = None, **fields: object
) -> Run:
    """A queued pipeline run; `fields` are the model's."""
    defaults: dict[str, object] = {"kind": Run.Kind.PIPELINE}
    return Run.objects.create(
        dataset=dataset or make_dataset(), recipe=recipe or make_recipe(), **(defaults | fields)
    )


def make_shift(run: Run, *, pulse: Pulse | None = None, **fields: Any) -> Shift:
    """A worker on the run, heard of just now; `began` (a moment) is when it started."""
    began = fields.pop("began", None)
    defaults = {"host": "gpu-1", "pid": 4242, "heartbeat_at": timezone.now()}
    shift = Shift.objects.create(run=run, pulse=write_pulse(pulse or Pulse()), **defaults | fields)
    if began is not None:
        Shift.objects.filter(pk=shift.pk).update(started_at=began)
        shift.refresh_from_db()
    return shift


def make_reading(
    shift: Shift, at: datetime, *, seconds: float = 5.0, slots: int = 64, **lane: Any
) -> RunReading:
    """Some seconds of a shift that asked one teacher; `lane` are the fields of its LaneReading.

    `busy` is the share of the slots that were, `finished` how many sample draws came to rest.
    """
    busy, finished = lane.pop("busy", 0.75), lane.pop("finished", 0)
    teacher = lane.pop("teacher", "offline:extractive")
    reading = Reading(
        seconds=seconds,
        slots=slots,
        slot_seconds=seconds * slots,
        busy_seconds=seconds * slots * busy,
        in_flight=round(slots * busy),
        lanes={teacher: LaneReading(**{"limit": float(slots)} | lane)},
    )
    stored = write_pulse(Pulse(reading=reading, finished=finished))
    return RunReading.objects.create(run_id=shift.run_id, shift=shift, at=at, reading=stored)


def make_sample_draw(
    run: Run,
    *,
    state: str = SampleDraw.State.PASSED,
    stage: Stage | None = None,
    reasons: Sequence[Reason] = (),
    outcome: str = "",
    people_reasons: Sequence[Reason] = (),
    failure_kind: str = "",
    attempt: int = 1,
    **fields: Any,
) -> SampleDraw:
    """A sample draw of the run in `state`, with the completion, verdict and label that it needs."""
    sample = make_sample(run.dataset)
    draw = SampleDraw(run=run, sample=sample, state=state, failure_kind=failure_kind)
    if state not in (SampleDraw.State.PENDING, SampleDraw.State.FAILED):
        as_state = {"answered": "new"}.get(state, state)
        draw.completion = make_completion(
            sample, state=as_state, reasons=reasons, recipe=run.recipe, attempt=attempt, **fields
        )
        if state in (SampleDraw.State.PASSED, SampleDraw.State.REJECTED):
            draw.verdict = make_verdict(draw.completion, run, stage=stage, reasons=reasons)
    if outcome:
        assert draw.completion is not None, "only a completion has a label"
        make_label(draw.completion, outcome=outcome, reasons=people_reasons)
    draw.save()
    return draw


def make_verdict(
    completion: Completion,
    run: Run,
    *,
    stage: Stage | None = None,
    reasons: Sequence[Reason] = (),
) -> Verdict:
    """A verdict, already the completion's own; it passed unless there is a reason."""
    verdict = Verdict.objects.create(
        completion=completion,
        recipe=run.recipe,
        run=run,
        passed=not reasons,
        stage=stage or (reasons[0].stage if reasons else ""),
        reasons=list(reasons),
    )
    CompletionState.objects.filter(completion=completion).update(verdict=verdict)
    return verdict


def make_label(
    completion: Completion,
    *,
    outcome: str = Label.Outcome.ACCEPTED,
    reviewer: User | None = None,
    reasons: Sequence[Reason] = (),
) -> Label:
    """A label with the one decision that it comes from."""
    kind = Decision.Kind.ACCEPT if outcome == Label.Outcome.ACCEPTED else Decision.Kind.REJECT
    decision = Decision.objects.create(
        completion=completion,
        reviewer=reviewer or make_user("reviewer"),
        kind=kind,
        reasons=list(reasons),
    )
    return Label.objects.create(completion=completion, outcome=outcome, decision=decision)


def make_queue(
    num_completions: int = 3,
    *,
    required_reviews: int = 1,
    dataset: Dataset | None = None,
    wanted: QueueFilter | None = None,
    readers: Iterable[User] = (),
) -> Queue:
    """A queue, filled, after so many completions that passed the gate were added to its dataset.

    It is the dataset's own queue unless it is told what it wants. `readers` know its guidelines.
    Nothing comes by chance: there is no random stream.
    """
    dataset = dataset or make_dataset()
    if wanted is None:
        queue = Queue.objects.create(
            dataset=dataset,
            name=DEFAULT_NAME,
            is_default=True,
            required_reviews=required_reviews,
            random_share=0,
        )
    else:
        queue = create_queue(
            dataset=dataset,
            name=f"queue-{next(_numbers)}",
            wanted=wanted,
            required_reviews=required_reviews,
            ways=Ways(random_share=0),
        )
    for _ in range(num_completions):
        make_completion(dataset=dataset)
    fill_queue(queue_id=queue.pk)
    let_read(queue, *readers)
    return queue


def let_read(queue: Queue, *people: User) -> None:
    """Open the queue's cards to these people: they have read its guidelines."""
    for person in people:
        read_guidelines(queue_id=queue.pk, reviewer=person, version=queue.guidelines_version)


def make_training_run(
    export: Export | None = None, *, log: bytes = b"", num_steps: int = 0, **fields: Any
) -> TrainingRun:
    """A queued training run with its folder, so many measured steps, and a validation at the last."""
    spec = TrainSpec().model_dump(mode="json") | {"tags": list(fields.get("tags", ()))}
    defaults = {
        "name": spec["name"],
        "dataset": export.dataset if export else None,
        "source": {"name": str(export or "rows.jsonl"), "sha256": "0" * 64, "rows": {}},
        "spec": spec,
        "step": num_steps,
    }
    run = TrainingRun.objects.create(export=export, **(defaults | fields))
    run.folder = f"processed/training/run-{run.pk}"
    run.save(update_fields=["folder"])
    layout = TrainingLayout(Path(settings.DATA_DIR) / run.folder)
    layout.folder.mkdir(parents=True)
    layout.log.write_bytes(log)
    make_metrics(run, num_steps)
    return run


def make_metrics(run: TrainingRun, num_steps: int) -> None:
    """A loss of 100 / step for each step, and at the last one the same on held-out rows."""
    steps = [("train", step) for step in range(1, num_steps + 1)]
    steps += [("validation", num_steps)] if num_steps else []
    Metric.objects.bulk_create(
        Metric(
            training_run=run,
            kind=kind,
            step=step,
            at=timezone.now(),
            values={"loss": 100 / step}
            | ({"learning_rate": 0.001, "tokens": step * 50} if kind == "train" else {}),
        )
        for kind, step in steps
    )
