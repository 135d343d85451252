"""Exports as pages show them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet

from distill.logic.export_card import is_stand_in
from distill.logic.export_snippets import load_snippet
from distill.logic.sft_configs import CONFIGS, MAIN, SPLITS
from distill.models import Decision, Export, Label, Recipe, RunEvent

MAX_CHANGED = 1_000
NO_EXPORT = "No export: "
"""How the log of a run begins to say that its export failed."""
_NUM_SHOWN = 3
_MAX_LINE_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an answer; without a name it is the whole."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A row as people read it."""

    domain: str
    source_key: str
    split: str
    attempt: int
    mean_score: float | None
    parts: list[Part]
    messages: list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class ShownConfig:
    """One config of an export: rows, size of its files, and how it is read."""

    name: str
    about: str
    counts: Mapping[str, int]
    num_bytes: int
    snippet: str


@dataclass(frozen=True, slots=True)
class ExportView:
    """An export, and what its manifest says of it."""

    export: Export

    @property
    def counts(self) -> Mapping[str, int]:
        counts: Mapping[str, int] = self.export.manifest["counts"]
        return counts

    @property
    def splits(self) -> list[tuple[str, int]]:
        return [(name, self.counts[name]) for name in SPLITS]

    @property
    def empty_splits(self) -> list[str]:
        """The splits without a row, where others have some."""
        return [name for name, count in self.splits if not count] if self.counts["total"] else []

    @property
    def configs(self) -> list[ShownConfig]:
        """Its configs; exports of old have the chats alone."""
        counted = self.export.manifest.get("configs", {MAIN: self.counts})
        return [self._config(name, counted[name]) for name in CONFIGS if name in counted]

    def _config(self, name: str, counts: Mapping[str, int]) -> ShownConfig:
        sizes = (file["bytes"] for file in self.files if _config_of(file) == name)
        snippet = load_snippet(name, dataset=self.export.dataset.name)
        return ShownConfig(name, CONFIGS[name].about, counts, sum(sizes), snippet)

    @property
    def files(self) -> list[dict[str, Any]]:
        files: list[dict[str, Any]] = self.export.manifest["files"]
        return files

    @property
    def has_stand_in(self) -> bool:
        """Whether its teacher or its judge was the offline stand-in."""
        manifest = self.export.manifest
        return is_stand_in([*manifest["teachers"], *manifest["judges"]])

    @property
    def folder(self) -> Path:
        return Path(settings.DATA_DIR) / self.export.folder

    @property
    def is_on_disk(self) -> bool:
        return (self.folder / "manifest.json").is_file()

    @property
    def damaged_files(self) -> list[str]:
        """Files of rows that are gone or have another size; `verify_export` looks at their bytes."""
        return [file["name"] for file in self.files if file["split"] and not self._is_there(file)]

    def _is_there(self, file: Mapping[str, Any]) -> bool:
        path = self.folder / file["name"]
        return path.is_file() and bool(path.stat().st_size == file["bytes"])


def _config_of(file: Mapping[str, Any]) -> str:
    """The config of a file of rows; none of the card's."""
    return str(file.get("config", MAIN)) if file["split"] else ""


def all_exports() -> QuerySet[Export]:
    """Every export, with what a list shows of it."""
    return Export.objects.select_related("dataset", "created_by")


def named_file(view: ExportView, name: str) -> Path | None:
    """The file of this name, if the manifest names it and it is there; never a path from outside."""
    known = {file["name"] for file in view.files} | {"manifest.json"}
    if name not in known:
        return None
    path = view.folder / name
    return path if path.is_file() else None


def read_card(view: ExportView) -> str:
    """The text of its dataset card; empty where the file is gone."""
    path = named_file(view, "README.md")
    return path.read_text(encoding="utf-8") if path else ""


def first_rows(view: ExportView) -> list[ShownRow]:
    """A few of its rows, from the first split that has any."""
    for split, count in view.splits:
        path = named_file(view, f"{split}.jsonl")
        if count and path:
            return list(_read_rows(path))
    return []


def count_changed_labels(export: Export) -> int:
    """Of how many completions people have said something else since; labels that were taken back
    count too. `MAX_CHANGED + 1` stands for more.
    """
    labelled = Label.objects.filter(
        completion__state_row__dataset=export.dataset_id, updated_at__gt=export.created_at
    )
    changed = labelled.order_by().values("completion").union(_unlabelled(export))
    return changed[: MAX_CHANGED + 1].count()


def _unlabelled(export: Export) -> QuerySet[Any, Any]:
    """Completions whose label is gone since, as far as that can be told."""
    if export.policy != Export.Policy.GATE:
        rows = export.exported_completions.filter(completion__label=None)
        return rows.order_by().values("completion")
    undone = Decision.objects.filter(
        completion__state_row__dataset=export.dataset_id,
        kind=Decision.Kind.UNDO,
        undoes__kind__in=Decision.VERDICTS,
        created_at__gt=export.created_at,
    )
    return undone.order_by().values("completion")


def recipes_of(export: Export) -> list[Recipe]:
    """The recipes that its manifest names, as far as they are in this database."""
    hashes = [recipe["sha256"] for recipe in export.manifest["recipes"]]
    return list(Recipe.objects.filter(sha256__in=hashes).defer("document"))


def failed_exports(*, since: datetime) -> list[RunEvent]:
    """What workers could not export lately, newest first, where nothing has been exported since."""
    later = Export.objects.filter(dataset=OuterRef("run__dataset"), created_at__gt=OuterRef("at"))
    failed = RunEvent.objects.filter(
        ~Exists(later), level=RunEvent.Level.ERROR, message__startswith=NO_EXPORT, at__gt=since
    )
    return list(failed.select_related("run__dataset").order_by("-id")[:_NUM_SHOWN])


def _read_rows(path: Path) -> Iterator[ShownRow]:
    with path.open("rb") as file:
        for _number in range(_NUM_SHOWN):
            line = file.readline(_MAX_LINE_BYTES)
            try:
                yield _shown(orjson.loads(line))
            except (ValueError, LookupError, TypeError, AttributeError):
                # Not what was written: somebody has changed the file, or the line is too long.
                return


def _shown(row: dict[str, Any]) -> ShownRow:
    return ShownRow(
        domain=row["domain"],
        source_key=row["source_id"],
        split=row["split"],
        attempt=row["attempt"],
        mean_score=row["mean_score"],
        parts=_parts(row["messages"][-1]["content"]),
        messages=row["messages"],
    )


def _parts(answer: str) -> list[Part]:
    """The fields of an answer that is a JSON object of texts, else the answer."""
    try:
        fields = orjson.loads(answer)
    except orjson.JSONDecodeError:
        fields = None
    if not isinstance(fields, dict):
        return [Part("", answer)]
    return [Part(name, str(text)) for name, text in fields.items()]
