"""Whether the files of an export are still those that were written."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from django.conf import settings

from distill.logic.errors import InputError
from distill.logic.sft import sft_bytes
from distill.models import Export
from distill.services.files import plain_errors
from distill.services.sft_files import ROWS_PER_GROUP, file_facts


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
    if found.sha256 == file["sha256"] or _has_same_rows(export, file, path):
        return ""
    return (
        f"has been changed on disk: its SHA-256 is {found.sha256[:12]}…, "
        f"the manifest says {file['sha256'][:12]}…"
    )


def _has_same_rows(export: Export, file: dict[str, Any], path: Path) -> bool:
    """Whether a Parquet file holds the JSONL's rows: another pyarrow writes other bytes."""
    if path.suffix != ".parquet":
        return False
    lines = hashlib.sha256()
    try:
        with pq.ParquetFile(path) as table:
            for batch in table.iter_batches(ROWS_PER_GROUP):
                for row in batch.to_pylist():
                    lines.update(sft_bytes(row))
    except (pa.ArrowException, OSError):
        return False
    jsonl = f"{file['split']}.jsonl"
    return any(
        one["name"] == jsonl and one["sha256"] == lines.hexdigest()
        for one in export.manifest["files"]
    )
