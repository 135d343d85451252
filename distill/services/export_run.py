"""The export that a whole pipeline makes at its end, and what the run's log says of it."""

from __future__ import annotations

import logging

from distill.logic.errors import DistillError
from distill.models import Dataset, Export, Run, RunEvent
from distill.queries.exports import NO_EXPORT
from distill.queries.runs_to_export import runs_to_export
from distill.services.export import export_dataset

logger = logging.getLogger(__name__)


def export_run(*, run_id: int) -> Export | None:
    """Export what passed the gate, once after each end of the run; None where it was done before,
    or could not be: the run's log says why.
    """
    if run_id not in runs_to_export():
        return None
    run = Run.objects.select_related("dataset", "recipe", "created_by").get(id=run_id)
    wanted = run.recipe.content.export
    try:
        export = export_dataset(
            dataset=run.dataset,
            policy=wanted.policy,
            user=run.created_by,
            configs=wanted.configs,
            rows_per_shard=wanted.rows_per_shard,
        )
    except DistillError as error:
        logger.warning("No export of %s: %s", run.dataset, error)
        _note(run, RunEvent.Level.ERROR, f"{NO_EXPORT}{error}")
        return None
    _note(run, RunEvent.Level.INFO, f"Exported as {export}.")
    return export


def note_failed_export(*, dataset: Dataset, why: str) -> None:
    """Say in the log of the dataset's newest run why an export failed, so that pages can show it."""
    run = dataset.runs.first()
    if run is not None:
        _note(run, RunEvent.Level.ERROR, f"{NO_EXPORT}{why}")


def _note(run: Run, level: RunEvent.Level, message: str) -> None:
    RunEvent.objects.create(run=run, level=level, message=message)
