"""Training examples on disk, as JSONL and Parquet side by side: the same rows, the same bytes.

A row is put into words once, as a line of JSON. Parquet is made of those very lines, by a thread
beside (Arrow reads and packs them without the interpreter's lock), a block at a time: the interpreter
is as busy as it is with JSONL alone. The writer by itself, as a benchmark calls it:

    write_configs(rows, folder=Path(...), configs=("messages",))     # rows: those of `logic.sft`
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
from pyarrow import json as arrow_json
from pyarrow import parquet as pq

from distill.logic.sft import SFT_SCHEMA, sft_bytes
from distill.logic.sft_configs import CONFIGS, MAIN, SPLITS, Config, Row

BLOCK_BYTES = 8_000_000
"""So many bytes of lines, at most, are held of a file, and stand in one row group."""

ROWS_PER_SHARD = 250_000
"""Half a gigabyte of JSON, some 200 MB of Parquet, where a row has 2 kB."""

_REPEATED = (
    *("domain", "template_name", "split", "teacher", "model", "teacher_params", "prompt_version"),
    *("finish_reason", "gate_version", "decision", "label_basis", "reviewer", "recipe_hash"),
    *("pair_source", "rejected_stage", "source_license"),
)
"""Columns of few values. A dictionary of the others would be built, outgrow its page and be undone."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One file as a manifest names it."""

    name: str
    split: str | None
    rows: int
    bytes: int
    sha256: str
    config: str = MAIN


@dataclass(frozen=True, slots=True)
class FilePair:
    """Where a split's rows go; `split` None takes every row.

    With `rows_per_shard`, `train.parquet` stands for train-00000-of-0000N.parquet and so on.
    """

    split: str | None
    jsonl: Path
    parquet: Path
    rows_per_shard: int | None = None


@dataclass(frozen=True, slots=True)
class WrittenPair:
    """What became of a pair: rows, the hash of the lines, each file with its rows."""

    split: str | None
    rows: int
    lines_sha256: str
    files: tuple[tuple[Path, int], ...]


def read_lines(block: bytes, schema: pa.Schema) -> pa.Table:
    """Lines of JSON as a table of exactly these columns; raises ArrowInvalid for any other line."""
    if not block:
        return schema.empty_table()
    return arrow_json.read_json(
        pa.BufferReader(block),
        # One block: a line must not straddle two, and rows keep their order.
        read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(block) + 1),
        parse_options=arrow_json.ParseOptions(
            explicit_schema=schema, unexpected_field_behavior="error"
        ),
    )


class ShardFiles:
    """Parquet files made of blocks of lines; without rows one file that has its columns."""

    def __init__(self, path: Path, schema: pa.Schema, *, is_sharded: bool) -> None:
        self._path = path
        self._schema = schema
        self._is_sharded = is_sharded
        self._drafts: list[tuple[Path, int]] = []
        self._writer: pq.ParquetWriter | None = None

    def write(self, block: bytes, num_rows: int) -> None:
        """Write a block as one row group."""
        if self._writer is None:
            self._open()
        path, before = self._drafts[-1]
        self._drafts[-1] = (path, before + num_rows)
        if block and self._writer is not None:
            self._writer.write_table(read_lines(block, self._schema))

    def end_shard(self) -> None:
        """Let the next block begin another file."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.close()

    def finish(self) -> list[tuple[Path, int]]:
        """Close what is open, give every file its name; return the files with their rows."""
        if not self._drafts:
            self.write(b"", 0)
        self.end_shard()
        if not self._is_sharded:
            return self._drafts
        total = len(self._drafts)
        named = [self._name(index, total) for index in range(total)]
        for (draft, _rows), path in zip(self._drafts, named, strict=True):
            draft.rename(path)
        return [(path, rows) for path, (_, rows) in zip(named, self._drafts, strict=True)]

    def _open(self) -> None:
        # How many shards there will be is known at the end only.
        number = len(self._drafts)
        path = self._path.with_suffix(f".{number}.part") if self._is_sharded else self._path
        self._drafts.append((path, 0))
        self._writer = pq.ParquetWriter(
            path,
            self._schema,
            compression="zstd",
            use_dictionary=[name for name in _REPEATED if name in self._schema.names],
        )

    def _name(self, index: int, total: int) -> Path:
        return self._path.with_name(f"{self._path.stem}-{index:05d}-of-{total:05d}.parquet")


class RowFiles:
    """One pair of files, filled line by line; at most two blocks of it are in memory."""

    def __init__(self, pair: FilePair, schema: pa.Schema, pool: ThreadPoolExecutor) -> None:
        self._pair = pair
        self._pool = pool
        self._jsonl = pair.jsonl.open("wb")
        is_sharded = pair.rows_per_shard is not None
        self._shards = ShardFiles(pair.parquet, schema, is_sharded=is_sharded)
        self._hash = hashlib.sha256()
        self._lines: list[bytes] = []
        self._num_bytes = 0
        self._in_shard = 0
        self._pending: Future[None] | None = None
        self.num_rows = 0

    def add(self, line: bytes) -> None:
        """Take one line of JSON with its line break."""
        self._lines.append(line)
        self._num_bytes += len(line)
        self._in_shard += 1
        self.num_rows += 1
        is_full = self._in_shard == self._pair.rows_per_shard
        if is_full or self._num_bytes >= BLOCK_BYTES:
            self._flush(ends_shard=is_full)

    def finish(self) -> WrittenPair:
        """Write what is left, and close both."""
        self._flush()
        self._wait()
        shards = self._shards.finish()
        self._jsonl.close()
        files = ((self._pair.jsonl, self.num_rows), *shards)
        return WrittenPair(self._pair.split, self.num_rows, self._hash.hexdigest(), files)

    def _flush(self, *, ends_shard: bool = False) -> None:
        if not self._lines:
            return
        block, num_rows = b"".join(self._lines), len(self._lines)
        self._lines, self._num_bytes = [], 0
        self._hash.update(block)
        self._jsonl.write(block)
        self._wait()
        self._pending = self._pool.submit(self._pack, block, num_rows, ends_shard=ends_shard)
        if ends_shard:
            self._in_shard = 0

    def _pack(self, block: bytes, num_rows: int, *, ends_shard: bool) -> None:
        self._shards.write(block, num_rows)
        if ends_shard:
            self._shards.end_shard()

    def _wait(self) -> None:
        if self._pending is not None:
            self._pending.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with ExitStack() as stack:
            # In reverse: what is being packed is waited for first.
            stack.callback(self._jsonl.close)
            stack.callback(self._shards.end_shard)
            self._wait()


def write_pairs(
    rows: Iterable[Row], pairs: Sequence[FilePair], schema: pa.Schema = SFT_SCHEMA
) -> list[WrittenPair]:
    """Write the rows into each pair of files that takes their split."""
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(max_workers=1))
        opened = [stack.enter_context(RowFiles(pair, schema, pool)) for pair in pairs]
        by_split = {split: _taking(split, pairs, opened) for split in SPLITS}
        for row in rows:
            line = sft_bytes(row)
            for files in by_split[row["split"]]:
                files.add(line)
        return [files.finish() for files in opened]


def _taking(split: str, pairs: Sequence[FilePair], opened: Sequence[RowFiles]) -> list[RowFiles]:
    both = zip(pairs, opened, strict=True)
    return [files for pair, files in both if pair.split in (None, split)]


def write_lines(lines: Iterable[bytes], pair: FilePair, schema: pa.Schema) -> WrittenPair:
    """Write lines of JSON as they are. Raises ArrowInvalid where one does not fit the columns."""
    with ThreadPoolExecutor(max_workers=1) as pool, RowFiles(pair, schema, pool) as files:
        for line in lines:
            files.add(line)
        return files.finish()


def write_configs(
    rows: Iterable[Row],
    *,
    folder: Path,
    configs: Sequence[str],
    rows_per_shard: int = ROWS_PER_SHARD,
) -> dict[str, list[WrittenPair]]:
    """Write the rows, in one pass, into the files of each of these configs: by split, in `folder`.

    Each row is turned into the config's own by `Config.convert`, so all of them must be made of the
    same rows: `SAME_ROWS`, or one of the others. Memory is flat: a few blocks for each file.
    """
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(max_workers=1))
        opened = [
            (CONFIGS[name], stack.enter_context(_config_files(name, folder, rows_per_shard, pool)))
            for name in configs
        ]
        for row in rows:
            split = row["split"]
            for config, by_split in opened:
                by_split[split].add(sft_bytes(config.convert(row)))
        return {
            config.name: [files.finish() for files in by_split.values()]
            for config, by_split in opened
        }


@contextmanager
def _config_files(
    name: str, folder: Path, rows_per_shard: int, pool: ThreadPoolExecutor
) -> Iterator[dict[str, RowFiles]]:
    config = CONFIGS[name]
    with ExitStack() as stack:
        yield {
            split: stack.enter_context(
                RowFiles(_pair(config, split, folder, rows_per_shard), config.schema, pool)
            )
            for split in SPLITS
        }


def _pair(config: Config, split: str, folder: Path, rows_per_shard: int) -> FilePair:
    lines, shards = folder / config.lines_folder, folder / config.shards_folder
    for place in (lines, shards):
        place.mkdir(parents=True, exist_ok=True)
    return FilePair(split, lines / f"{split}.jsonl", shards / f"{split}.parquet", rows_per_shard)


def content_sha256(written: Mapping[str, Sequence[WrittenPair]], *, rows_per_shard: int) -> str:
    """A hash of all rows in their order and files; over their lines, so no Parquet library is in it."""
    content = hashlib.sha256(b"%d" % rows_per_shard)
    for config, pairs in written.items():
        for pair in pairs:
            content.update(f"\n{config} {pair.split} {pair.lines_sha256}".encode())
    return content.hexdigest()


def count_splits(pairs: Iterable[WrittenPair]) -> dict[str, int]:
    """Rows in all and by split; a pair that takes every row is left out."""
    counts = Counter({pair.split: pair.rows for pair in pairs if pair.split is not None})
    return {"total": counts.total(), **{split: counts[split] for split in SPLITS}}


def file_facts(
    path: Path, *, split: str | None, rows: int, name: str = "", config: str = MAIN
) -> FileFacts:
    """Size and hash of a file as it lies on disk."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileFacts(name or path.name, split, rows, path.stat().st_size, digest, config)


class TableFile:
    """A Parquet file of any columns, written in groups of rows; without rows it has its columns."""

    _ROWS_PER_GROUP = 1_000

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._schema = schema
        self._rows: list[Mapping[str, Any]] = []
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")
        self.num_rows = 0

    def write(self, row: Mapping[str, Any]) -> None:
        self._rows.append(row)
        self.num_rows += 1
        if len(self._rows) == self._ROWS_PER_GROUP:
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
