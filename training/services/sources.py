"""What a training run trains on, looked at before it is queued: an export, or a file of rows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.db.models import Count, Q

from distill.logic.errors import InputError
from distill.models import Dataset, Export, Sample
from distill.services.files import plain_errors
from distill.services.verify_export import verify_export
from training.logic.rows import SPLITS, RowCheck, clash_message

OnRow = Callable[[str, bytes], None]


@dataclass(frozen=True, slots=True)
class Source:
    """What stands in `TrainingRun.source`, and the dataset that it is from, where that is known."""

    name: str
    sha256: str
    rows: dict[str, int]
    dataset: Dataset | None

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "sha256": self.sha256, "rows": self.rows}


def look_at_export(export: Export) -> Source:
    """Read the export's rows. Raises InputError where they cannot, or must not, be trained on."""
    verify_export(export=export)
    name = str(export)
    check = RowCheck()
    for path in export_files(export).values():
        _read(path, check)
    check.finish(name=name)
    if clashes := _groups_on_both_sides(export):
        raise InputError(clash_message(name, clashes))
    return Source(name, export.content_sha256, _counts(check), export.dataset)


def look_at_file(path: Path, *, on_row: OnRow | None = None) -> Source:
    """Read a file of rows as `to_sft` writes it, handing each row on with its split.

    Raises InputError where they cannot, or must not, be trained on, or the file is not the one that
    the manifest beside it tells of.
    """
    check = RowCheck()
    sha256 = _read(path, check, on_row)
    check.finish(name=path.name)
    manifest = _manifest_beside(path)
    facts = [file for file in manifest.get("files", []) if file["name"] == path.name]
    if any(file["sha256"] != sha256 for file in facts):
        raise InputError(
            f"{path.name} is not the file that its manifest tells of: it has been changed (its "
            "SHA-256 differs). Write it anew with to_sft; or, to train on it as it is, move the "
            "manifest away."
        )
    dataset = Dataset.objects.filter(name=manifest.get("dataset", "")).first() if facts else None
    return Source(path.name, sha256, _counts(check), dataset)


def export_files(export: Export) -> dict[str, Path]:
    """The export's JSONL file of chats by split; a split without rows has an empty one."""
    folder = Path(settings.DATA_DIR) / export.folder
    return {
        file["split"]: folder / file["name"]
        for file in export.manifest["files"]
        # Other configs hold the same rows in other forms; exports of old have only the one.
        if file["name"] == f"{file['split']}.jsonl"
    }


def _read(path: Path, check: RowCheck, on_row: OnRow | None = None) -> str:
    digest = hashlib.sha256()
    for number, line in enumerate(_lines(path), start=1):
        digest.update(line)
        if line.strip():
            split = check.take(line, where=f"{path.name}, line {number}")
            if on_row is not None:
                on_row(split, line if line.endswith(b"\n") else line + b"\n")
    return digest.hexdigest()


def _lines(path: Path) -> Iterator[bytes]:
    with plain_errors(path), path.open("rb") as file:
        yield from file


def _counts(check: RowCheck) -> dict[str, int]:
    return {split: check.counts[split] for split in SPLITS}


def _manifest_beside(path: Path) -> dict[str, Any]:
    """The manifest that `to_sft` wrote with `x.jsonl` or `x_train.jsonl`; empty where none is."""
    stems = [path.stem, *(path.stem.removesuffix(f"_{split}") for split in SPLITS)]
    for stem in stems:
        manifest = path.with_name(f"{stem}.manifest.json")
        if manifest.is_file():
            try:
                found = orjson.loads(manifest.read_bytes())
            except orjson.JSONDecodeError as error:
                raise InputError(f"{manifest.name} is not JSON; write {path.name} anew.") from error
            return found if isinstance(found, dict) else {}
    return {}


def _groups_on_both_sides(export: Export) -> dict[str, str]:
    """Near-duplicate sources of which one is trained on and another held out."""
    samples = Sample.objects.filter(completions__exported_in__export=export)
    groups = (
        samples.order_by()
        .values("group_key")
        .annotate(
            train=Count("pk", filter=Q(split=Sample.Split.TRAIN)),
            held_out=Count("pk", filter=~Q(split=Sample.Split.TRAIN)),
        )
    )
    both = groups.filter(train__gt=0, held_out__gt=0)
    return dict.fromkeys(both.values_list("group_key", flat=True), "held out")
