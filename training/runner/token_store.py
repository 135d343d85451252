"""Rows as tokens, on disk instead of in memory: a million rows of 1,000 tokens are 8 GB."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import pyarrow as pa
from datasets import Dataset
from datasets.table import InMemoryTable

from training.runner.render import Tokens

_BATCH = 500
_SCHEMA = pa.schema([(name, pa.list_(pa.int32())) for name in ("input_ids", "labels")])


def store_tokens(rows: Iterable[Tokens], path: Path) -> Dataset:
    """Write the rows to a file as they come, and give them back as a dataset over it.

    The file has lost its name by then: its space is free again as soon as this process has ended,
    however it ends.
    """
    left = iter(rows)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, _SCHEMA) as writer:
        while batch := list(islice(left, _BATCH)):
            columns = [[row.input_ids for row in batch], [row.labels for row in batch]]
            writer.write_batch(pa.record_batch(columns, schema=_SCHEMA))
    table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    path.unlink()
    # A name of its own: else all tokens are read for a hash that nothing looks up.
    return Dataset(InMemoryTable(table), fingerprint=path.stem)
