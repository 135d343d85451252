"""Write what a training's program reads: its rows and its spec."""

from __future__ import annotations

import shutil
from pathlib import Path

from distill.logic.errors import InputError
from distill.services.files import atomic_path
from distill.services.verify_export import verify_export
from training.logic.layout import TrainingLayout
from training.logic.rows import SPLITS
from training.logic.spec import TrainSpec
from training.models import TrainingRun
from training.services.sources import export_files

FREE_BYTES = 200_000_000
"""At least so much must be free besides the rows: a tiny student's checkpoints take 20 MB each."""


def prepare_training(*, run: TrainingRun, layout: TrainingLayout) -> None:
    """Fill the run's folder; what stands there from before stays.

    Raises InputError where the rows are gone or were changed, or too little room is free.
    """
    layout.folder.mkdir(parents=True, exist_ok=True)
    _refuse_full_disk(run, layout.folder)
    if not layout.rows("train").exists():
        _copy_rows(run, layout)
    spec = TrainSpec.model_validate(run.spec)
    with atomic_path(layout.spec) as draft:
        draft.write_text(spec.model_dump_json(indent=2), encoding="utf-8")


def _refuse_full_disk(run: TrainingRun, folder: Path) -> None:
    files = export_files(run.export).values() if run.export else ()
    wanted = FREE_BYTES + sum(path.stat().st_size for path in files if path.is_file())
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise InputError(
            f"Too little room for a training: {free / 1e6:,.0f} MB are free where the data folder "
            f"is, and at least {wanted / 1e6:,.0f} MB are needed. Free some space, then resume."
        )


def _copy_rows(run: TrainingRun, layout: TrainingLayout) -> None:
    """Copy the export's rows; those of training last, for their presence says that all are there."""
    if run.export is None:
        raise InputError(
            f"The rows of {run.source['name']} that it trains on are gone. Start it anew (train_student: "
            "with --fresh)."
        )
    verify_export(export=run.export)
    files = export_files(run.export)
    for split in reversed(SPLITS):
        if run.source["rows"].get(split):
            with atomic_path(layout.rows(split)) as draft:
                shutil.copyfile(files[split], draft)
