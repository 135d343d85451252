"""Queue a training run, after everything that can be known before it starts was looked at."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from django.conf import settings
from django.db import transaction

from distill.logic.errors import InputError
from distill.models import Export
from distill.services.files import plain_errors
from training.logic.layout import TrainingLayout
from training.logic.spec import TINY, TrainSpec
from training.models import TrainingRun
from training.services.sources import OnRow, Source, look_at_export, look_at_file

if TYPE_CHECKING:
    from django.contrib.auth.models import User

FOLDER = Path("processed", "training")


def start_training(
    *,
    spec: TrainSpec,
    export: Export | None = None,
    file: Path | None = None,
    user: User | None = None,
) -> TrainingRun:
    """Queue a training of the spec's student on an export, or on a file of `to_sft`.

    A file's rows are copied into the run's folder now, those of an export when it begins. Raises
    InputError, before anything is queued, where there is nothing to train on, the files are gone
    or were changed, a row is no training row, a source is trained on and held out, or the
    student's folder does not exist.
    """
    spec = with_whole_path(spec)
    if export is not None:
        source = look_at_export(export)
        with transaction.atomic():
            return _create(spec, source, export, user)
    if file is None:
        raise InputError("Say what to train on: an export, or a file of training rows.")
    with plain_errors(file), transaction.atomic():
        run = _create(spec, Source(file.name, "", {}, None), None, user)
        with _writing_rows(TrainingLayout(Path(settings.DATA_DIR) / run.folder)) as write:
            source = look_at_file(file, on_row=write)
        run.source, run.dataset = source.as_json(), source.dataset
        run.save(update_fields=["source", "dataset"])
        return run


def with_whole_path(spec: TrainSpec) -> TrainSpec:
    """The spec with the student's folder as a whole path, for the program runs elsewhere.

    Raises InputError where the student is a folder that does not exist, or holds no model.
    """
    if spec.student == TINY:
        return spec
    path = Path(spec.student).expanduser()
    is_folder = spec.student.startswith((".", "/", "~")) or len(path.parts) > 2
    if not is_folder and not path.exists():
        return spec  # a hub id
    if not path.is_dir():
        raise InputError(f"The student's folder {spec.student} does not exist.")
    if not (path / "config.json").is_file():
        raise InputError(f"{spec.student} is no folder of a transformers model: no config.json.")
    return spec.model_copy(update={"student": str(path.resolve())})


def _create(
    spec: TrainSpec, source: Source, export: Export | None, user: User | None
) -> TrainingRun:
    run = TrainingRun.objects.create(
        name=spec.name,
        dataset=source.dataset,
        export=export,
        source=source.as_json(),
        spec=spec.model_dump(mode="json"),
        tags=list(spec.tags),
        max_steps=spec.max_steps,
        created_by=user,
    )
    run.folder = str(FOLDER / f"run-{run.pk}")
    run.save(update_fields=["folder"])
    return run


@contextmanager
def _writing_rows(layout: TrainingLayout) -> Iterator[OnRow]:
    """Write rows into the folder's files by split; nothing stays of it where the block fails."""
    shutil.rmtree(layout.folder, ignore_errors=True)
    layout.folder.mkdir(parents=True)
    with ExitStack() as stack:
        files: dict[str, IO[bytes]] = {}

        def write(split: str, line: bytes) -> None:
            if split not in files:
                files[split] = stack.enter_context(layout.rows(split).open("wb"))
            files[split].write(line)

        try:
            yield write
        except BaseException:
            shutil.rmtree(layout.folder, ignore_errors=True)
            raise
        for opened in files.values():
            opened.flush()
            os.fsync(opened.fileno())
