"""Sum an evaluation up: its report card, as JSON for the database and as Markdown in its folder."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import orjson

from distill.models import Sample
from distill.services.files import atomic_path
from distill.teachers.registry import is_offline
from training.logic.layout import EvaluationLayout
from training.logic.report import Entry, Loss, make_report
from training.logic.report_text import report_markdown
from training.models import Contender, Evaluation
from training.queries.outcomes import TeacherAnswers, contender_answers, teacher_answers
from training.services.held_out import held_out_rows, training_layout
from training.services.take_answers import ROLES, asked_keys, model_name

REPORT_FILE = "report.md"


def report_evaluation(*, evaluation: Evaluation, layout: EvaluationLayout) -> dict[str, Any]:
    """Reckon the report card, write it to the folder as Markdown, and return it.

    The teacher becomes the third contender where it has stored first attempts at the same samples.
    The same answers and verdicts give the same card.
    """
    asked = asked_keys(layout) if evaluation.training_run.dataset else []
    teacher = teacher_answers(evaluation, asked)
    entries = [_entry(evaluation, role, layout) for role in ROLES]
    if teacher.by_key:
        entries.append(_teacher_entry(evaluation, teacher))
    card = make_report(asked=asked, entries=entries, notes=_notes(evaluation, asked, teacher))
    report = asdict(card) | {
        "is_standin": _is_standin(evaluation, teacher),
        "facts": _facts(evaluation, asked),
    }
    with atomic_path(layout.folder / REPORT_FILE) as draft:
        text = report_markdown(report, title=report_title(evaluation))
        draft.write_text(text, encoding="utf-8")
    return report


def report_title(evaluation: Evaluation) -> str:
    """The card's heading."""
    run = evaluation.training_run
    return f"Report card: evaluation {evaluation.pk} of training run {run.pk}, {run.name}"


def _entry(evaluation: Evaluation, role: Contender.Role, layout: EvaluationLayout) -> Entry:
    contender = evaluation.contenders.get(role=role)
    path = layout.loss(role)
    too_long = orjson.loads(path.read_bytes())["too_long"] if path.exists() else 0
    loss = None
    if contender.loss is not None:
        loss = Loss(contender.loss, contender.loss_tokens, contender.loss_rows, too_long)
    answers = contender_answers(contender) if contender.run_id else {}
    return Entry(role, contender.name, model_name(evaluation, role), answers, loss)


def _teacher_entry(evaluation: Evaluation, teacher: TeacherAnswers) -> Entry:
    role = Contender.Role.TEACHER
    Contender.objects.update_or_create(
        evaluation=evaluation, role=role, defaults={"name": teacher.name}
    )
    return Entry(role, teacher.name, teacher.name, teacher.by_key)


def _is_standin(evaluation: Evaluation, teacher: TeacherAnswers) -> bool:
    judges = [judge.teacher for judge in evaluation.recipe.content.judges]
    return any(map(is_offline, [*judges, teacher.name]))


def _facts(evaluation: Evaluation, asked: list[str]) -> list[tuple[str, str]]:
    """Names from outside, and how much was asked; in their order, which a JSON object loses."""
    run, recipe = evaluation.training_run, evaluation.recipe
    split, _ = _asked_of(evaluation, asked)
    return [
        ("training run", f"{run.pk} ({run.name})"),
        ("student", model_name(evaluation, Contender.Role.STUDENT)),
        ("base", model_name(evaluation, Contender.Role.BASE)),
        ("trained on", str(run.source.get("name", ""))),
        ("dataset", str(run.dataset or "")),
        ("samples", f"{len(asked)} of the {split} split" if asked else ""),
        ("recipe", f"{recipe} ({recipe.sha256[:12]})"),
        ("judges", ", ".join(judge.teacher for judge in recipe.content.judges)),
    ]


def _asked_of(evaluation: Evaluation, asked: list[str]) -> tuple[str, int]:
    """The split of the samples that were asked about, and how many it has."""
    samples = Sample.objects.filter(dataset=evaluation.training_run.dataset)
    split = samples.filter(key__in=asked[:1]).values_list("split", flat=True).first() or ""
    return split, samples.filter(split=split).count() if split else 0


def _notes(evaluation: Evaluation, asked: list[str], teacher: TeacherAnswers) -> list[str]:
    return [*_notes_on_samples(evaluation, asked), *_notes_on_teacher(asked, teacher)]


def _notes_on_samples(evaluation: Evaluation, asked: list[str]) -> list[str]:
    run, notes = evaluation.training_run, []
    split, num_all = _asked_of(evaluation, asked)
    rows = held_out_rows(training_layout(run))
    if run.dataset is None:
        notes.append(
            "The dataset of what it was trained on is not in this database: nothing could be asked "
            "and judged, only losses are measured."
        )
    elif not asked:
        notes.append("The dataset has no held-out samples: only losses are measured.")
    if split == Sample.Split.VALIDATION:
        notes.append("The test split has no samples: those of the validation split were asked.")
    if num_all > len(asked):
        notes.append(
            f"{len(asked)} of the {num_all:,} {split} samples were asked: the first by key, which "
            "is a hash of the content."
        )
    if rows is None:
        notes.append("The training has no held-out rows: no loss could be measured.")
    elif rows[0] == Sample.Split.VALIDATION:
        notes.append("The training has no test rows: the loss is that of its validation rows.")
    return notes


def _notes_on_teacher(asked: list[str], teacher: TeacherAnswers) -> list[str]:
    notes = []
    if asked and len(teacher.by_key) < len(asked):
        notes.append(
            f"The teacher has stored first attempts at {len(teacher.by_key)} of {len(asked)} "
            "samples; it is compared on these."
        )
    if teacher.num_foreign:
        notes.append(
            f"{teacher.num_foreign} of the teacher's verdicts are of other recipes: its rules, "
            "judges or thresholds may differ."
        )
    if teacher.num_others:
        notes.append(f"{teacher.num_others} of the teacher's answers are by other teachers.")
    return notes
