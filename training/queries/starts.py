"""What the start page shows before anything is trained: exports to choose from, and an estimate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.db.models import F, QuerySet

from distill.models import Export
from distill.queries.exports import ExportView
from training.logic.estimate import count_steps, estimate_tokens, rows_a_step
from training.logic.spec import TrainSpec
from training.models import Metric, TrainingRun

NUM_MEASURED = 200
_MAX_LINE_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast an earlier training of the same student was, from its start to its end."""

    training_run_id: int
    tokens_per_second: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """How much a training would be. `num_tokens` and `seconds` are None where nobody can tell."""

    rows: dict[str, int]
    rows_a_step: int
    num_steps: int
    num_tokens: int | None
    """Over all epochs, at four characters a token."""
    pace: Pace | None
    has_stand_in: bool
    is_on_disk: bool

    @property
    def seconds(self) -> float | None:
        if self.pace is None or self.num_tokens is None:
            return None
        return self.num_tokens / self.pace.tokens_per_second

    @property
    def missing_splits(self) -> list[str]:
        """The held-out splits without a row."""
        return [name for name in ("validation", "test") if not self.rows[name]]


def exports_to_train_on() -> QuerySet[Export]:
    """Every export, newest first, with `counts` of rows instead of its whole manifest."""
    exports = Export.objects.select_related("dataset").defer("manifest")
    return exports.annotate(counts=F("manifest__counts")).order_by("-pk")


def find_same(*, export: Export, spec: TrainSpec) -> TrainingRun | None:
    """The training that does exactly this already, if one is on its way."""
    active = TrainingRun.objects.filter(export=export, state__in=TrainingRun.ACTIVE)
    wanted = spec.model_dump(mode="json")
    return next((run for run in active if run.spec == wanted), None)


def estimate_training(*, export: Export, spec: TrainSpec) -> Estimate:
    """What the training would be, from the export's manifest and the first rows of its file."""
    view = ExportView(export)
    rows = dict(view.splits)
    num_steps = count_steps(spec, rows["train"])
    characters = _characters_a_row(view)
    num_rows = spec.epochs * rows["train"]
    if spec.max_steps is not None:
        num_rows = num_steps * rows_a_step(spec)
    return Estimate(
        rows=rows,
        rows_a_step=rows_a_step(spec),
        num_steps=num_steps,
        num_tokens=None if characters is None else estimate_tokens(characters, num_rows),
        pace=_pace(spec),
        has_stand_in=view.has_stand_in,
        is_on_disk=view.is_on_disk,
    )


def _characters_a_row(view: ExportView) -> float | None:
    """The mean over the first rows; None where the file is gone."""
    path = Path(settings.DATA_DIR) / view.export.folder / "train.jsonl"
    if not path.is_file():
        return None
    lengths = []
    with path.open("rb") as file:
        for _number in range(NUM_MEASURED):
            line = file.readline(_MAX_LINE_BYTES)
            if not line.endswith(b"\n"):
                break
            lengths.append(_num_characters(orjson.loads(line)))
    return sum(lengths) / len(lengths) if lengths else None


def _num_characters(row: dict[str, Any]) -> int:
    return sum(len(message["content"]) for message in row["messages"])


def _pace(spec: TrainSpec) -> Pace | None:
    """Of the newest finished training of this student; loading the program is part of it."""
    runs = TrainingRun.objects.filter(state=TrainingRun.State.DONE, spec__student=spec.student)
    run = runs.filter(started_at__isnull=False, finished_at__isnull=False).first()
    if run is None or run.spec["tiny"] != spec.tiny.model_dump(mode="json"):
        return None
    last = run.metrics.filter(kind=Metric.Kind.TRAIN, values__has_key="tokens").last()
    seconds = (run.finished_at - run.started_at).total_seconds()  # type: ignore[operator]
    if last is None or seconds <= 0:
        return None
    return Pace(run.pk, last.values["tokens"] / seconds)
