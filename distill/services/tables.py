"""The tables of the file form: what a run answered, what it rejected, what a student learns.

Columns that the guide knows keep its names. A cell that is not known is null. Written under another
name and renamed whole; a table without rows still has its columns.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa

from distill.logic.errors import InputError
from distill.logic.export_facts import ExportFacts
from distill.logic.sft_configs import SPLITS
from distill.models import Dataset, Run
from distill.queries.eligible import eligible_ids
from distill.queries.export_manifest import why_nothing
from distill.queries.run_tables import OutputRows, RejectionRows
from distill.queries.sft_rows import SftRows
from distill.services.files import atomic_path
from distill.services.manifest import make_manifest, write_manifest
from distill.services.sft_files import (
    FilePair,
    TableFile,
    count_splits,
    file_facts,
    write_pairs,
)

OnProgress = Callable[[int], None]
_REPORT_EVERY = 500
_SAMPLE_COLUMNS = [
    *((name, pa.string()) for name in ("domain", "template_name", "user_prompt", "context")),
    *((name, pa.string()) for name in ("template_prompt", "system_prompt", "source_file")),
    ("generated_at", pa.float64()),
]
_ANSWER_COLUMNS = [
    *((name, pa.string()) for name in ("teacher_output", "model_id")),
    *((name, pa.int64()) for name in ("latency_ms", "prompt_tokens", "completion_tokens")),
    ("total_tokens", pa.int64()),
]
_OUR_COLUMNS = [
    *((name, pa.string()) for name in ("sample_id", "source_id", "split", "title")),
    *((name, pa.string()) for name in ("completion_id", "parent_id", "teacher")),
    *((name, pa.int32()) for name in ("draw", "attempt")),
    *((name, pa.string()) for name in ("finish_reason", "state")),
]
_FLAG_COLUMNS = [
    *((name, pa.bool_()) for name in ("length_char_ok", "length_token_ok", "action_verb_ok")),
    *((name, pa.bool_()) for name in ("no_citations", "passes_all", "quality_pass")),
    ("mean_score", pa.float64()),
    ("judge_scores", pa.string()),
]
_REJECTION_COLUMNS = [
    ("rejection_reason", pa.string()),
    ("rejection_reasons", pa.list_(pa.string())),
    ("rejection_stage", pa.string()),
    ("evidence", pa.string()),
    ("attempts", pa.int32()),
]
OUTPUT_SCHEMA = pa.schema([*_SAMPLE_COLUMNS, *_ANSWER_COLUMNS, *_OUR_COLUMNS])
FLAGGED_SCHEMA = pa.schema([*OUTPUT_SCHEMA, *_FLAG_COLUMNS])
REJECTION_SCHEMA = pa.schema([*_REJECTION_COLUMNS, *FLAGGED_SCHEMA])


def write_outputs(
    *,
    run: Run,
    dst: Path,
    states: Collection[str] = (),
    flags: bool = False,
    on_progress: OnProgress | None = None,
) -> int:
    """Write the run's sample × draws that have a completion, in those states (all where none).

    With `flags`, also what rules, judges and gate said of each. Returns the number of rows.
    """
    rows = OutputRows(run, states=states, with_flags=flags)
    schema = FLAGGED_SCHEMA if flags else OUTPUT_SCHEMA
    return _write(rows, schema, dst, on_progress)


def write_rejections(*, run: Run, dst: Path, on_progress: OnProgress | None = None) -> int:
    """Write every sample × draw of the run that was rejected or failed, with all reasons."""
    return _write(RejectionRows(run), REJECTION_SCHEMA, dst, on_progress)


def write_sft(*, source: Dataset | Run, policy: str, dst: Path) -> int:
    """Write what the policy takes of a dataset, or of a run, as training examples.

    For `x.jsonl`: that and `x.parquet` with every row, `x_train`, `x_validation` and `x_test` of
    both kinds, and `x.manifest.json`. All of them get their names when all are whole. Returns the
    number of rows; raises InputError where there is none, saying why.
    """
    dataset, run = (source.dataset, source) if isinstance(source, Run) else (source, None)
    ids = eligible_ids(dataset=dataset, policy=policy, run=run)
    if not ids:
        raise InputError(why_nothing(dataset, policy=policy))
    final = [_pair(dst, None), *(_pair(dst, split) for split in SPLITS)]
    with ExitStack() as stack:
        # Renamed in the reverse order: the manifest first is made, and last gets its name.
        manifest_draft = stack.enter_context(atomic_path(dst.with_suffix(".manifest.json")))
        drafts = [
            FilePair(
                pair.split,
                stack.enter_context(atomic_path(pair.jsonl)),
                stack.enter_context(atomic_path(pair.parquet)),
            )
            for pair in final
        ]
        rows, facts = SftRows(), ExportFacts()
        written = write_pairs(facts.counting(rows.read(ids)), drafts)
        counts = count_splits(written)
        manifest = make_manifest(dataset, policy, rows, facts) | {
            "content_sha256": written[0].lines_sha256,
            "counts": counts,
            "files": [
                asdict(file_facts(draft, split=pair.split, rows=num_rows, name=path.name))
                for pair, one in zip(final, written, strict=True)
                for path, (draft, num_rows) in zip(
                    (pair.jsonl, pair.parquet), one.files, strict=True
                )
            ],
        }
        write_manifest(manifest_draft, manifest)
    return counts["total"]


def _pair(dst: Path, split: str | None) -> FilePair:
    stem = f"{dst.stem}_{split}" if split else dst.stem
    return FilePair(split, dst.with_name(f"{stem}.jsonl"), dst.with_name(f"{stem}.parquet"))


def _write(
    rows: OutputRows | RejectionRows, schema: pa.Schema, dst: Path, on_progress: OnProgress | None
) -> int:
    with atomic_path(dst) as draft, TableFile(draft, schema) as table:
        for row in rows.read():
            table.write(row)
            if on_progress and table.num_rows % _REPORT_EVERY == 0:
                on_progress(table.num_rows)
    if on_progress:
        on_progress(table.num_rows)
    return table.num_rows
