"""The export's writer in figures: rows a second for each form, memory, the same bytes twice."""

from __future__ import annotations

import hashlib
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path

import orjson
import pyarrow as pa
from pyarrow import parquet as pq

from benchmarks.engine_site import Measured
from benchmarks.gate_corpus import open_corpus
from benchmarks.gate_worker import in_own_process, peak_mb
from distill.logic.sft import SFT_SCHEMA, sft_bytes, sft_row
from distill.logic.sft_configs import MAIN, SPLITS, Row
from distill.logic.types import Message, RuleText, Scores
from distill.services.sft_files import BLOCK_BYTES, ShardFiles, content_sha256, write_configs

_HERE = "benchmarks.bench_gate_export"
_DISTINCT = 5_000
_ROWS_PER_SHARD = 250_000


def measure_export(*, rows: int, rounds: int, say: Callable[[str], None]) -> Measured:
    """The writer alone over so many rows of 2.4 kB; memory beside a tenth of them."""
    forms = in_own_process(_HERE, "measure_forms", rows=min(rows, 50_000), rounds=rounds)
    large = in_own_process(_HERE, "measure_writer", rows=rows)
    small = in_own_process(_HERE, "measure_writer", rows=rows // 10)
    say(f"export: {large}, {forms}")
    return {
        "export_rows_per_s": large["rows_per_s"],
        **forms,
        "export_peak_mb": large["peak_mb"],
        "export_peak_mb_tenth": small["peak_mb"],
        "export_memory_ratio": round(large["peak_mb"] / small["peak_mb"], 3),
        "export_mb_per_1000_rows": large["mb_per_1000_rows"],
        "export_same_bytes": small["same_bytes"],
    }


def measure_writer(rows: int) -> Measured:
    """JSONL and Parquet of the config `messages`, hashes included, twice: whether bytes agree."""
    distinct = make_rows(min(rows, _DISTINCT))
    seconds, digests = [], []
    for _time in range(2):
        with _a_folder() as folder:
            began = time.perf_counter()
            written = write_configs(
                islice(cycle(distinct), rows),
                folder=folder,
                configs=(MAIN,),
                rows_per_shard=_ROWS_PER_SHARD,
            )
            seconds.append(time.perf_counter() - began)
            lines = sum(path.stat().st_size for path in folder.glob("*.jsonl"))
            digests.append((content_sha256(written, rows_per_shard=rows), digest_of(folder)))
    return {
        "rows_per_s": round(rows / min(seconds)),
        "peak_mb": peak_mb(),
        "mb_per_1000_rows": round(lines / rows / 1e3, 2),
        "same_bytes": digests[0] == digests[1],
    }


def measure_forms(rows: int, rounds: int) -> Measured:
    """Each form by itself, by the writer's own parts; and by orjson and pyarrow as they come."""
    distinct = make_rows(min(rows, _DISTINCT))
    forms = {
        "export_writer_jsonl_rows_per_s": _write_lines,
        "export_writer_parquet_rows_per_s": _write_shards,
        "export_bare_orjson_rows_per_s": _write_bare_lines,
        "export_bare_pyarrow_rows_per_s": _write_bare_table,
    }
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    for _round in range(rounds):
        for name, write in forms.items():
            with _a_folder() as folder:
                seconds[name].append(write(islice(cycle(distinct), rows), folder))
    return {name: round(rows / statistics.median(took)) for name, took in seconds.items()}


def _write_lines(rows: Iterator[Row], folder: Path) -> float:
    """As `sft_files.RowFiles` does, without its Parquet."""
    began = time.perf_counter()
    digest = hashlib.sha256()
    with (folder / "train.jsonl").open("wb") as file:
        for block, _num_rows in _blocks(rows):
            digest.update(block)
            file.write(block)
    return time.perf_counter() - began


def _write_shards(rows: Iterator[Row], folder: Path) -> float:
    """The seconds that Parquet takes, made of lines that are there already."""
    shards = ShardFiles(folder / "train.parquet", SFT_SCHEMA, is_sharded=False)
    seconds = 0.0
    for block, num_rows in _blocks(rows):
        began = time.perf_counter()
        shards.write(block, num_rows)
        seconds += time.perf_counter() - began
    began = time.perf_counter()
    shards.finish()
    return seconds + time.perf_counter() - began


def _blocks(rows: Iterator[Row]) -> Iterator[tuple[bytes, int]]:
    lines: list[bytes] = []
    num_bytes = 0
    for row in rows:
        lines.append(sft_bytes(row))
        num_bytes += len(lines[-1])
        if num_bytes >= BLOCK_BYTES:
            yield b"".join(lines), len(lines)
            lines, num_bytes = [], 0
    if lines:
        yield b"".join(lines), len(lines)


def _write_bare_lines(rows: Iterator[Row], folder: Path) -> float:
    began = time.perf_counter()
    with (folder / "train.jsonl").open("wb") as file:
        for row in rows:
            file.write(orjson.dumps(row) + b"\n")
    return time.perf_counter() - began


def _write_bare_table(rows: Iterator[Row], folder: Path) -> float:
    began = time.perf_counter()
    with pq.ParquetWriter(folder / "train.parquet", SFT_SCHEMA, compression="zstd") as writer:
        while group := list(islice(rows, 1_000)):
            writer.write_table(pa.Table.from_pylist(group, schema=SFT_SCHEMA))
    return time.perf_counter() - began


def make_rows(count: int) -> list[Row]:
    """Rows of 2.4 kB as `queries.sft_rows` reads them: question, answer, scores, origins."""
    return list(map(_row, range(count), open_corpus().rows(0, count)))


def _row(number: int, text: RuleText) -> Row:
    rng = random.Random(number)
    scores = {
        name: round(rng.random(), 3) for name in ("plausibility", "falsifiability", "method_rigour")
    }
    return sft_row(
        messages=(
            Message("system", "You are a careful scientist."),
            Message("user", f"<passage>\n{text.source[:300]}\n</passage>"),
            Message("assistant", text.text[:900]),
        ),
        completion_id=f"{number:064x}",
        parent_id=None,
        sample_id=f"{number:032x}",
        source_id=f"document-{number}",
        source_text=text.source,
        source_license=None,
        domain=rng.choice(("biology", "physics")),
        template_name="pair",
        split=rng.choices(SPLITS, (90, 5, 5))[0],
        teacher="offline:extractive",
        model="extractive",
        teacher_params='{"max_tokens":1024}',
        prompt_version="pair@0123456789ab",
        draw=0,
        attempt=1,
        finish_reason="stop",
        prompt_tokens=600,
        completion_tokens=500,
        cost_nano=None,
        judge_models={"offline:rubric"},
        judge_scores=[Scores("F", scores)],
        mean_score=sum(scores.values()) / len(scores),
        gate_version="0123456789ab",
        gate_reasons=(),
        gate_flags=(),
        decision=None,
        label_basis=None,
        reviewer=None,
        recipe_hash="0" * 64,
    )


def digest_of(folder: Path) -> str:
    """Over the names and bytes of everything in a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(str(path.relative_to(folder)).encode())
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


@contextmanager
def _a_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="nexa-export-", dir="/tmp") as name:
        yield Path(name)
