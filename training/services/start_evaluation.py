"""Queue an evaluation, after everything that can be known before it starts was looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Count

from distill.logic.errors import ConflictError, InputError
from distill.logic.recipe import default_recipe
from distill.models import ExportedCompletion, Recipe, Run
from distill.services.recipes import save_recipe
from training.models import Evaluation, TrainingRun
from training.services.held_out import choose_held_out, held_out_rows, training_layout

if TYPE_CHECKING:
    from django.contrib.auth.models import User

SAMPLE_LIMIT = 50
MOST_SAMPLES = 2_000
_State = Evaluation.State


def start_evaluation(
    *,
    training_run: TrainingRun,
    recipe: Recipe | None = None,
    sample_limit: int = SAMPLE_LIMIT,
    user: User | None = None,
) -> Evaluation:
    """Queue the evaluation of a student that is done, and of its base.

    Without a recipe that of the rows that it learnt from is taken. Each judge is asked about at
    most `sample_limit` answers of each. The same again, while it goes on, is the same evaluation;
    one that failed or was stopped goes on where it was.

    Raises InputError where the training is not done, its model is gone, nothing is held out, or
    what is held out was trained on; ConflictError while another evaluation of it goes on.
    """
    if not 1 <= sample_limit <= MOST_SAMPLES:
        raise InputError(f"Ask about 1 to {MOST_SAMPLES:,} samples, not {sample_limit:,}.")
    recipe = recipe or recipe_of(training_run)
    _refuse_unready(training_run, sample_limit)
    with transaction.atomic():
        # One after the other: two clicks make one evaluation.
        TrainingRun.objects.select_for_update().get(pk=training_run.pk)
        known = _find_unfinished(training_run, recipe, sample_limit)
        return known or _create(training_run, recipe, sample_limit, user)


def recipe_of(training_run: TrainingRun) -> Recipe:
    """The recipe of most rows of the export; else of the dataset's newest pipeline; else the default."""
    if training_run.export_id is not None:
        rows = ExportedCompletion.objects.filter(
            export=training_run.export_id, completion__recipe__isnull=False
        )
        counted = rows.order_by().values_list("completion__recipe").annotate(count=Count("pk"))
        most = counted.order_by("-count", "-completion__recipe").first()
        if most is not None:
            return Recipe.objects.get(pk=most[0])
    if training_run.dataset_id is not None:
        runs = Run.objects.filter(dataset=training_run.dataset_id, kind=Run.Kind.PIPELINE)
        newest = runs.select_related("recipe").order_by("-pk").first()
        if newest is not None:
            return newest.recipe
    return save_recipe(content=default_recipe())


def _refuse_unready(training_run: TrainingRun, sample_limit: int) -> None:
    if training_run.state != TrainingRun.State.DONE:
        raise InputError(
            f"Training run {training_run.pk} is {training_run.state}: only a student that is done "
            "can be evaluated. Wait for it, or resume it."
        )
    layout = training_layout(training_run)
    if not layout.model.is_dir():
        where = f" of {training_run.host}" if training_run.host else ""
        raise InputError(
            f"The model of training run {training_run.pk} is not in this host's data folder: share "
            f"the folder{where}, evaluate there, or train again."
        )
    held_out = choose_held_out(training_run=training_run, limit=sample_limit)
    if not held_out.samples and held_out_rows(layout) is None:
        of = f"dataset {training_run.dataset.name}" if training_run.dataset else "its file"
        raise InputError(
            f"Nothing is held out: {of} has neither test nor validation samples. Splits are made by "
            "source document, so a handful of sources can leave them empty: import more."
        )


def _find_unfinished(
    training_run: TrainingRun, recipe: Recipe, sample_limit: int
) -> Evaluation | None:
    evaluations = Evaluation.objects.filter(training_run=training_run)
    active = evaluations.filter(state__in=Evaluation.ACTIVE).first()
    if active is not None:
        if (active.recipe_id, active.sample_limit) == (recipe.pk, sample_limit):
            return active
        raise ConflictError(
            f"Evaluation {active.pk} of training run {training_run.pk} is going on. Wait for it, or "
            "stop it."
        )
    last = evaluations.filter(recipe=recipe, sample_limit=sample_limit).first()
    if last is None or last.state == _State.DONE:
        return None
    ended = evaluations.filter(pk=last.pk, state__in=[_State.FAILED, _State.STOPPED])
    ended.update(
        state=_State.QUEUED,
        message="",
        host="",
        lease_token=None,
        heartbeat_at=None,
        finished_at=None,
    )
    last.refresh_from_db()
    return last


def _create(
    training_run: TrainingRun, recipe: Recipe, sample_limit: int, user: User | None
) -> Evaluation:
    evaluation = Evaluation.objects.create(
        training_run=training_run, recipe=recipe, sample_limit=sample_limit, created_by=user
    )
    evaluation.folder = f"{training_run.folder}/evaluation-{evaluation.pk}"
    evaluation.save(update_fields=["folder"])
    return evaluation
