"""Whether the files of an export are still those that were written."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
from django.conf import settings

from distill.logic.errors import InputError
from distill.logic.sft import SFT_SCHEMA
from distill.models import Export
from distill.services.files import plain_errors
from distill.services.sft_files import TableFile, file_facts


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
    if found.sha256 == file["sha256"] or found.sha256 == _written_now(path, file):
        return ""
    return (
        f"has been changed on disk: its SHA-256 is {found.sha256[:12]}…, "
        f"the manifest says {file['sha256'][:12]}…"
    )


def _written_now(path: Path, file: dict[str, Any]) -> str:
    """The hash that a Parquet file of the JSONL's rows has today: another pyarrow, other bytes."""
    jsonl = path.parents[1] / f"{file['split']}.jsonl"
    if path.suffix != ".parquet" or not jsonl.is_file():
        return ""
    with tempfile.TemporaryDirectory() as folder, jsonl.open("rb") as lines:
        draft = Path(folder, path.name)
        try:
            with TableFile(draft, SFT_SCHEMA) as table:
                for line in lines:
                    table.write(orjson.loads(line))
        except (orjson.JSONDecodeError, pa.ArrowException):
            return ""
        return file_facts(draft, split=file["split"], rows=file["rows"]).sha256
