"""Find the training that does exactly what is asked for again."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from distill.models import Export
from distill.services.ingest.fingerprints import file_sha256
from training.logic.layout import TrainingLayout
from training.logic.spec import TrainSpec
from training.models import TrainingRun
from training.services.start import with_whole_path


def find_same(
    *, spec: TrainSpec, export: Export | None = None, file: Path | None = None
) -> TrainingRun | None:
    """The newest training of this spec on this export, or on a file of these bytes.

    One that is done counts while its model is there. Raises InputError where the file cannot be
    read, or the student's folder does not exist.
    """
    same = TrainingRun.objects.filter(spec=with_whole_path(spec).model_dump(mode="json"))
    if export is not None:
        same = same.filter(export=export)
    elif file is not None:
        sha256, _size = file_sha256(file, file.name)
        same = same.filter(export=None, source__sha256=sha256)
    run = same.first()
    if run is None or (run.state == run.State.DONE and not _has_model(run)):
        return None
    return run


def _has_model(run: TrainingRun) -> bool:
    return TrainingLayout(Path(settings.DATA_DIR) / run.folder).model.exists()
