"""`manage.py evaluate_student`: score a student and its base on held-out samples, here and now."""

from __future__ import annotations

import os
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.urls import reverse

from distill.logic.errors import InputError
from distill.management import stage
from distill.management.paths import shown
from distill.management.progress import progress
from distill.teachers.offline import offline_teacher
from distill.teachers.registry import is_offline, resolve
from training.logic.report_text import report_markdown
from training.models import Evaluation, TrainingRun
from training.services.follow import ELSEWHERE, HELD, WAITING
from training.services.follow_evaluation import EvaluationProgress, follow_evaluation
from training.services.report_evaluation import REPORT_FILE, report_title
from training.services.start_evaluation import MOST_SAMPLES, SAMPLE_LIMIT, start_evaluation
from training.services.start_process import command_owner
from training.services.stop_evaluation import stop_evaluation

WAIT_SECONDS = 1.0
_LABELS = {"answering": "Answering", "scoring": "Scoring"}


class Command(stage.StageCommand):
    help = """Let a student and its base answer held-out samples, and score both; print the report card.

    manage.py evaluate_student
    manage.py evaluate_student --run 3 --samples 100 --recipe mine

It needs no worker: the answering is a process that this command starts and ends with, the scoring
runs here. Ctrl-C stops it in order; the same command goes on where it stopped, also after a kill.
Without --run or --model it is the newest training run that is done; without --recipe the recipe of
the rows that the student learnt from. Each judge is asked once for each answer that passes the rules.
"""

    def add_arguments(self, parser: CommandParser) -> None:
        student = parser.add_mutually_exclusive_group()
        student.add_argument(
            "--run", type=int, metavar="N", help="the student of this training run"
        )
        student.add_argument(
            "--model", type=Path, metavar="FOLDER", help="the student in this folder of a training"
        )
        parser.add_argument(
            "--recipe",
            metavar="NAME|FILE",
            help="whose rules, judges and gate score: a recipe's name (its newest version), "
            "NAME@VERSION, or a YAML file",
        )
        parser.add_argument(
            "--samples",
            type=int,
            default=SAMPLE_LIMIT,
            metavar="N",
            help=f"ask about at most N held-out samples, up to {MOST_SAMPLES:,} "
            f"(default: {SAMPLE_LIMIT})",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        run = _find_run(options)
        recipe = stage.find_recipe(options, self.stderr.write) if options["recipe"] else None
        evaluation = start_evaluation(
            training_run=run, recipe=recipe, sample_limit=options["samples"]
        )
        self._follow(evaluation)
        evaluation.refresh_from_db()
        if evaluation.state != Evaluation.State.DONE:
            raise CommandError(
                f"{str(evaluation).capitalize()} {evaluation.state}: {evaluation.message}\n"
                "The same command goes on where it stopped."
            )
        self._say(evaluation)

    def _follow(self, evaluation: Evaluation) -> None:
        with (
            _judges_of(evaluation) as url,
            stage.interruptible() as is_interrupted,
            progress(None, "Evaluating") as bar,
        ):

            def show(now: EvaluationProgress) -> None:
                if is_interrupted():
                    stop_evaluation(evaluation_id=evaluation.pk)
                words = {"state": _LABELS.get(now.state, now.message or now.state)}
                bar.update(now.done, total=now.total or None, **words)

            while _is_active(evaluation):
                state = follow_evaluation(
                    evaluation.pk,
                    seconds=float("inf"),
                    owner=command_owner(),
                    offline_url=url,
                    on_progress=show,
                )
                if state in (HELD, WAITING, ELSEWHERE):
                    # A worker has it, or others use this host: what becomes of it is shown.
                    evaluation.refresh_from_db()
                    done, total = evaluation.num_answered, evaluation.num_wanted
                    show(EvaluationProgress(evaluation.state, done, total, evaluation.message))
                    time.sleep(WAIT_SECONDS)

    def _say(self, evaluation: Evaluation) -> None:
        self.stdout.write(report_markdown(evaluation.report, title=report_title(evaluation)))
        file = Path(settings.DATA_DIR, evaluation.folder, REPORT_FILE)
        self.stdout.write(f"The card is in {shown(file)}")
        page = reverse("training:evaluation", args=[evaluation.pk])
        self.stdout.write(f"With the answers side by side: {page}")


def _find_run(options: dict[str, Any]) -> TrainingRun:
    runs = TrainingRun.objects.select_related("dataset", "export")
    if options["run"] is not None:
        found = runs.filter(pk=options["run"]).first()
        if found is None:
            raise InputError(f"There is no training run {options['run']}. {_known()}")
        return found
    if options["model"] is not None:
        return _run_of(options["model"])
    found = runs.filter(state=TrainingRun.State.DONE).first()
    if found is None:
        raise InputError("No training run is done yet: train a student with train_student first.")
    return found


def _run_of(folder: Path) -> TrainingRun:
    """The training run that this folder, or the one above it, belongs to."""
    home = Path(settings.DATA_DIR).resolve()
    whole = folder.resolve()
    for path in (whole, whole.parent):
        if path.is_relative_to(home):
            found = TrainingRun.objects.filter(folder=str(path.relative_to(home))).first()
            if found is not None:
                return found
    raise InputError(
        f"{folder} is no folder of a training run: what it was trained on is not known, so nothing "
        f"can be said to be held out. {_known()}"
    )


def _known() -> str:
    done = TrainingRun.objects.filter(state=TrainingRun.State.DONE).values_list("pk", flat=True)
    known = ", ".join(map(str, done[:10]))
    return f"Training runs that are done: {known or 'none yet'}."


def _judges_of(evaluation: Evaluation) -> AbstractContextManager[str | None]:
    """The offline judge for as long as it is needed, else nothing; keys are looked up first."""
    names = [judge.teacher for judge in evaluation.recipe.content.judges]
    try:
        for name in names:
            resolve(name)
    except InputError:
        # Else a worker would find it queued, and start what this command refuses.
        stop_evaluation(evaluation_id=evaluation.pk)
        raise
    if os.environ.get("OFFLINE_BASE_URL") or not any(map(is_offline, names)):
        return nullcontext()
    return offline_teacher()


def _is_active(evaluation: Evaluation) -> bool:
    return Evaluation.objects.filter(pk=evaluation.pk, state__in=Evaluation.ACTIVE).exists()
