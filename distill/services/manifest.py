"""The manifest beside training examples: what the files hold, and where that is from."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from distill.models import Dataset
from distill.queries.export_manifest import describe_origin
from distill.queries.sft_rows import SftRows
from distill.services.sft_files import Written


def write_manifest(path: Path, manifest: dict[str, Any]) -> None:
    """A manifest as JSON, indented; keys sorted, since the database keeps no order of them."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    path.write_bytes(orjson.dumps(manifest, option=options))


def make_manifest(dataset: Dataset, policy: str, rows: SftRows, written: Written) -> dict[str, Any]:
    """What the files hold and where that is from; the recipes whole, so that nothing else is needed.

    A recipe's version is its number in one database, so its hash stands here instead.
    """
    return {
        "dataset": dataset.name,
        "policy": policy,
        "content_sha256": written.content_sha256,
        "counts": dict(written.counts),
        "files": [asdict(file) for file in written.files],
        **written.facts.as_manifest(),
        "recipes": [asdict(recipe) for recipe in rows.recipes],
        **describe_origin(dataset, policy=policy),
    }
