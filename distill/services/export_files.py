"""The files of an export, in a folder of its own: every config, the card, the manifest.

train|validation|test.jsonl   data/<split>-00000-of-0000N.parquet     config messages
<config>/<split>.jsonl        <config>/<split>-00000-of-0000N.parquet   the others
dataset_info.json   README.md   manifest.json
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from distill.logic.export_card import export_card
from distill.logic.export_facts import ExportFacts
from distill.logic.sft_configs import MAIN, SAME_ROWS, dataset_info
from distill.models import Dataset
from distill.queries.eligible import rejected_ids
from distill.queries.preference_rows import read_preferences
from distill.queries.sft_rows import SftRows
from distill.services.manifest import make_manifest, write_manifest
from distill.services.sft_files import (
    FileFacts,
    WrittenPair,
    content_sha256,
    count_splits,
    file_facts,
    write_configs,
)

CARD, INFO, MANIFEST = "README.md", "dataset_info.json", "manifest.json"


def write_export_files(
    folder: Path,
    *,
    dataset: Dataset,
    policy: str,
    ids: array[int],
    configs: Sequence[str],
    rows_per_shard: int,
    screening: Mapping[str, Any] | None,
    held_out: frozenset[int],
) -> dict[str, Any]:
    """Write everything of an export into an empty folder and return its manifest.

    The database is read once for all configs that hold the same rows, and once each for preference
    and rejected. `screening` says what was left out of `ids` as a copy or as contaminated; `held_out`
    are rejected completions that share words with held-out text: no side of any file.
    """
    rows, facts = SftRows(), ExportFacts()
    same = [name for name in configs if name in SAME_ROWS]
    reads: list[tuple[Sequence[str], Iterator[dict[str, Any]]]] = [
        (same, facts.counting(rows.read(ids)))
    ]
    if "preference" in configs:
        reads.append((["preference"], read_preferences(rows, ids, left_out=held_out)))
    if "rejected" in configs:
        rejected = (pk for pk in rejected_ids(dataset=dataset) if pk not in held_out)
        reads.append((["rejected"], rows.read_rejected(array("q", rejected))))
    written: dict[str, list[WrittenPair]] = {}
    for names, read in reads:
        written |= write_configs(read, folder=folder, configs=names, rows_per_shard=rows_per_shard)
    manifest = make_manifest(dataset, policy, rows, facts) | {
        "content_sha256": content_sha256(written, rows_per_shard=rows_per_shard),
        "counts": count_splits(written[MAIN]),
        "configs": {name: count_splits(pairs) for name, pairs in written.items()},
        "rows_per_shard": rows_per_shard,
        "screening": screening and {**screening, "rejected": {"contaminated": len(held_out)}},
        "files": [asdict(file) for file in _facts(folder, written)],
    }
    write_texts(folder, manifest)
    return manifest


def write_texts(folder: Path, manifest: dict[str, Any]) -> None:
    """Write what follows from the manifest: LLaMA-Factory's file, the card, the manifest itself.

    The first two are entered into the manifest where it does not name them yet.
    """
    info = dataset_info(manifest["dataset"], [file for file in manifest["files"] if file["split"]])
    (folder / INFO).write_bytes(orjson.dumps(info, option=orjson.OPT_INDENT_2))
    (folder / CARD).write_text(export_card(manifest), encoding="utf-8")
    named = {file["name"] for file in manifest["files"]}
    for name in (INFO, CARD):
        if name not in named:
            manifest["files"].append(asdict(file_facts(folder / name, split=None, rows=0)))
    write_manifest(folder / MANIFEST, manifest)


def _facts(folder: Path, written: Mapping[str, Sequence[WrittenPair]]) -> Iterator[FileFacts]:
    for config, pairs in written.items():
        for pair in pairs:
            for path, num_rows in pair.files:
                name = str(path.relative_to(folder))
                yield file_facts(path, split=pair.split, rows=num_rows, name=name, config=config)
