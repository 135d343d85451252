"""Training examples on disk, as JSONL and Parquet side by side: the same rows, the same bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from distill.logic.export_facts import ExportFacts
from distill.logic.sft import SFT_SCHEMA, sft_bytes

ROWS_PER_GROUP = 1_000
"""So many rows are held in memory, and stand in one row group."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One file as a manifest names it."""

    name: str
    split: str | None
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class FilePair:
    """Where a split's rows go; `split` None takes every row."""

    split: str | None
    jsonl: Path
    parquet: Path


class TableFile:
    """A Parquet file that is written in groups of rows; without rows it still has its columns."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._schema = schema
        self._rows: list[Mapping[str, Any]] = []
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")
        self.num_rows = 0

    def write(self, row: Mapping[str, Any]) -> None:
        self._rows.append(row)
        self.num_rows += 1
        if len(self._rows) == ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
            self._rows = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._flush()
        finally:
            self._writer.close()


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: every file, rows by split, a hash of all rows in their order, their sums."""

    files: tuple[FileFacts, ...]
    counts: Mapping[str, int]
    content_sha256: str
    facts: ExportFacts

    def rows_of(self, split: str | None) -> int:
        return self.counts[split or "total"]


def write_sft_files(
    rows: Iterable[Mapping[str, Any]], pairs: Sequence[FilePair], splits: Sequence[str]
) -> Written:
    """Write the rows into each pair of files that takes their split.

    `content_sha256` is over the lines of JSON, so it does not depend on the Parquet library.
    """
    content = hashlib.sha256()
    facts = ExportFacts()
    counts = dict.fromkeys(("total", *splits), 0)
    with ExitStack() as stack:
        opened = [
            (
                pair.split,
                stack.enter_context(pair.jsonl.open("wb")),
                stack.enter_context(TableFile(pair.parquet, SFT_SCHEMA)),
            )
            for pair in pairs
        ]
        for row in rows:
            line = sft_bytes(dict(row))
            content.update(line)
            facts.add(row)
            counts["total"] += 1
            counts[row["split"]] += 1
            for split, jsonl, parquet in opened:
                if split in (None, row["split"]):
                    jsonl.write(line)
                    parquet.write(row)
    files = [
        file_facts(path, split=pair.split, rows=counts[pair.split or "total"])
        for pair in pairs
        for path in (pair.jsonl, pair.parquet)
    ]
    return Written(tuple(files), counts, content.hexdigest(), facts)


def file_facts(path: Path, *, split: str | None, rows: int, name: str = "") -> FileFacts:
    """Size and hash of a file as it lies on disk."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileFacts(name or path.name, split, rows, path.stat().st_size, digest)
