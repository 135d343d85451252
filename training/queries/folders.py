"""What lies in a training run's folder, where this host can see it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from training.logic.layout import TrainingLayout
from training.logic.log_text import read_log
from training.models import TrainingRun

TAIL_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class LogTail:
    """The end of a log."""

    text: str
    version: str
    """Changes when the log has grown."""
    is_cut: bool
    """There is more before it."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    name: str
    size_bytes: int


def layout_of(run: TrainingRun) -> TrainingLayout:
    """Where the training's files are, on the host that has them."""
    return TrainingLayout(Path(settings.DATA_DIR) / run.folder)


def read_tail(run: TrainingRun) -> LogTail | None:
    """The last 16 KiB of the log; None where there is none, or another host has it."""
    if not run.folder:
        return None
    try:
        with layout_of(run).log.open("rb") as file:
            size = file.seek(0, 2)
            start = file.seek(max(0, size - TAIL_BYTES))
            raw = file.read(TAIL_BYTES)
    except OSError:
        return None
    return LogTail("\n".join(read_log(raw, is_cut=start > 0)), version=str(size), is_cut=start > 0)


def list_model_files(run: TrainingRun) -> list[ModelFile]:
    """The files of the trained student by name; empty where there is none, or not on this host."""
    folder = layout_of(run).model
    if not run.folder or not folder.is_dir():
        return []
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [ModelFile(str(path.relative_to(folder)), path.stat().st_size) for path in files]
