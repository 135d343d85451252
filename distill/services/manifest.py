"""The manifest beside training examples: what the files hold, and where that is from."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from distill.logic.export_facts import ExportFacts
from distill.models import Dataset
from distill.queries.export_manifest import describe_origin
from distill.queries.sft_rows import SftRows


def write_manifest(path: Path, manifest: dict[str, Any]) -> None:
    """A manifest as JSON, indented; keys sorted, since the database keeps no order of them."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    path.write_bytes(orjson.dumps(manifest, option=options))


def make_manifest(
    dataset: Dataset, policy: str, rows: SftRows, facts: ExportFacts
) -> dict[str, Any]:
    """What rows are and where they are from; the recipes whole, so that nothing else is needed.

    A recipe's version is its number in one database, so its hash stands here instead. Whoever
    writes the files adds what they are.
    """
    return {
        "dataset": dataset.name,
        "policy": policy,
        **facts.as_manifest(),
        "recipes": [asdict(recipe) for recipe in rows.recipes],
        **describe_origin(dataset, policy=policy),
    }
