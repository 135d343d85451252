"""The columnar snapshot of a dataset's scores, rules and labels: read from its file, kept in memory.

`services.snapshots` writes it; `logic.what_if` says what its columns are.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

import polars as pl
from django.conf import settings
from django.db.models import Max

from distill.logic.recipe import Recipe, default_recipe
from distill.models import Completion, Dataset, Decision, Export, Judgement, Run, Verdict
from distill.models import Recipe as RecipeRow

FOLDER = Path("processed", "snapshots")
_MOST_KEPT = 2
"""So many datasets' frames stay in a process: one of a million completions takes some 300 MB."""

_kept: dict[Path, tuple[int, Snapshot]] = {}
_lock = Lock()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A row for each completion of the dataset; `marks` say up to where it was read."""

    frame: pl.DataFrame
    taken_at: datetime
    marks: str
    dataset: Dataset

    @property
    def num_completions(self) -> int:
        return len(self.frame)

    @property
    def is_stale(self) -> bool:
        """Something was answered, judged, decided or exported since, on this dataset or another, or
        the dataset's latest run has another recipe.
        """
        return self.marks != current_marks(self.dataset)


def snapshot_path(dataset: Dataset) -> Path:
    """Where the dataset's snapshot lies; the name holds nothing that a user chose."""
    return Path(settings.DATA_DIR) / FOLDER / f"{dataset.pk}.parquet"


def load_snapshot(dataset: Dataset) -> Snapshot | None:
    """The dataset's snapshot, from memory where its file is the same; None where there is none."""
    path = snapshot_path(dataset)
    with _lock:
        try:
            version = path.stat().st_mtime_ns
        except FileNotFoundError:
            return None
        known = _kept.pop(path, None)
        if known is None or known[0] != version:
            known = version, _read(dataset, path, version)
        _kept[path] = known
        while len(_kept) > _MOST_KEPT:
            del _kept[next(iter(_kept))]
        return known[1]


def _read(dataset: Dataset, path: Path, version: int) -> Snapshot:
    taken_at = datetime.fromtimestamp(version / 1e9, UTC)
    marks = pl.read_parquet_metadata(path)["marks"]
    return Snapshot(pl.read_parquet(path, memory_map=False), taken_at, marks, dataset)


def current_marks(dataset: Dataset) -> str:
    """The newest ids of all that a snapshot is read from, and its recipe: six looks at an index."""
    models = (Completion, Judgement, Verdict, Decision, Export)
    newest = [model.objects.aggregate(last=Max("pk"))["last"] or 0 for model in models]
    recipe = base_recipe(dataset)
    return " ".join(str(mark) for mark in (*newest, recipe.pk if recipe else 0))


def base_recipe(dataset: Dataset) -> RecipeRow | None:
    """The recipe of the dataset's latest run: what its gate is now; None before the first run."""
    run = Run.objects.filter(dataset=dataset).select_related("recipe").order_by("-pk").first()
    return run.recipe if run else None


def base_content(dataset: Dataset) -> Recipe:
    """The content of `base_recipe`, or the default one."""
    row = base_recipe(dataset)
    return row.content if row else default_recipe()
