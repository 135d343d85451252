"""Whether the files of an export are still those that were written."""

from __future__ import annotations

import tempfile
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from django.conf import settings

from distill.logic.errors import InputError
from distill.logic.sft_configs import CONFIGS
from distill.models import Export
from distill.services.files import plain_errors
from distill.services.sft_files import FilePair, file_facts, write_lines


def verify_export(*, export: Export) -> None:
    """Compare every file of rows with the hash in the manifest; about a second a gigabyte.

    The card is left out: people add to it, and no student learns from it. Raises InputError that
    names the first file that is gone or changed, and says how to get it back.
    """
    for file in export.manifest["files"]:
        if file["split"] and (fault := fault_of(export, file)):
            raise InputError(
                f"{file['name']} of the export {export} {fault}. Export the dataset "
                f"“{export.dataset.name}” with policy {export.policy} again (on the site, or by "
                "to_sft --dataset): that puts the same file back; where labels have changed since, "
                "it makes a new version to take instead."
            )


def fault_of(export: Export, file: dict[str, Any]) -> str:
    """What is wrong with a file of rows, in words that follow its name; empty if nothing is."""
    path = Path(settings.DATA_DIR) / export.folder / file["name"]
    if not path.is_file():
        return "is gone"
    with plain_errors(path):
        found = file_facts(path, split=file["split"], rows=file["rows"])
    if found.sha256 == file["sha256"] or found.sha256 == _written_now(export, path, file):
        return ""
    return (
        f"has been changed on disk: its SHA-256 is {found.sha256[:12]}…, "
        f"the manifest says {file['sha256'][:12]}…"
    )


def _written_now(export: Export, path: Path, file: dict[str, Any]) -> str:
    """The hash that a Parquet file of the JSONL's rows has today: another pyarrow, other bytes."""
    rows_per_shard = export.manifest.get("rows_per_shard")
    if path.suffix != ".parquet" or not rows_per_shard:
        return ""
    config = CONFIGS[file["config"]]
    lines = Path(settings.DATA_DIR, export.folder, config.lines_folder, f"{file['split']}.jsonl")
    if not lines.is_file():
        return ""
    first = int(path.name.split("-")[1]) * rows_per_shard
    with tempfile.TemporaryDirectory() as folder, lines.open("rb") as rows:
        try:
            written = write_lines(
                islice(rows, first, first + rows_per_shard),
                FilePair(file["split"], Path(folder, "lines"), Path(folder, path.name)),
                config.schema,
            )
        except pa.ArrowException:
            return ""
        (_lines, (parquet, num_rows)) = written.files
        return file_facts(parquet, split=file["split"], rows=num_rows).sha256
