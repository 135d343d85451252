"""The README of an export: what is in it, made by whom, and what was left out on the way.

Its head is the YAML that the Hugging Face Hub reads. Nothing in it depends on the day or the
machine: the same manifest gives the same card.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

STAND_IN = "offline:"
SPLITS = ("train", "validation", "test")
_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)
_POLICIES = {
    "reviewed": "every row was accepted by a person",
    "gate": "every row passed the gate; people saw only some of them, or none",
}


def is_stand_in(names: Iterable[str]) -> bool:
    """Whether one of the models is the offline stand-in, which is no language model."""
    return any(name.startswith(STAND_IN) for name in names)


def export_card(manifest: Mapping[str, Any]) -> str:
    """The dataset card, as Markdown with its YAML head."""
    head = yaml.safe_dump(_head(manifest), sort_keys=False, allow_unicode=True)
    parts = [
        f"---\n{head}---",
        f"# {manifest['dataset']}",
        *_stand_in_warning(manifest),
        "Hypothesis–method pairs written by a model from scientific passages, made with Nexa "
        f"Distill. Policy `{manifest['policy']}`: {_POLICIES[manifest['policy']]}.",
        _splits(manifest),
        _columns(),
        _loading(),
        _origin(manifest),
        _waterfall(manifest["waterfall"]),
        "## Licence\n\nThe licence of the source texts and the terms of the models that answered "
        "apply. Nexa Distill adds none of its own.",
    ]
    return "\n\n".join(parts) + "\n"


def _head(manifest: Mapping[str, Any]) -> dict[str, Any]:
    counts: Mapping[str, int] = manifest["counts"]
    human = ["expert-generated"] if manifest["policy"] == "reviewed" else []
    parquet = {
        file["split"]: file["bytes"]
        for file in manifest["files"]
        if file["name"].endswith(".parquet")
    }
    return {
        "license": "unknown",
        "pretty_name": manifest["dataset"],
        "size_categories": [_size(counts["total"])],
        "task_categories": ["text-generation"],
        "tags": ["synthetic", "distillation", "scientific-hypotheses", "nexa-distill"],
        "annotations_creators": ["machine-generated", *human],
        "configs": [
            {
                "config_name": "default",
                "default": True,
                "data_files": [
                    {"split": name, "path": f"data/{name}-*.parquet"} for name in SPLITS
                ],
            }
        ],
        "dataset_info": {
            "splits": [
                {"name": name, "num_bytes": parquet[name], "num_examples": counts[name]}
                for name in SPLITS
            ]
        },
    }


def _size(total: int) -> str:
    return next((words for limit, words in _SIZES if total < limit), "n>10M")


def _stand_in_warning(manifest: Mapping[str, Any]) -> list[str]:
    warnings = []
    if is_stand_in(manifest["teachers"]):
        warnings.append(
            "> **Not a language model's answers.** The teacher was the offline stand-in, which "
            "recombines sentences of the passage. Use this to try the pipeline, not to train a "
            "model that matters."
        )
    if is_stand_in(manifest["judges"]):
        warnings.append(
            "> **Not a language model's scores.** The judge was the offline stand-in, which "
            "scores by simple rules."
        )
    return warnings


def _splits(manifest: Mapping[str, Any]) -> str:
    counts: Mapping[str, int] = manifest["counts"]
    rows = [f"| {name} | {counts[name]:,} |" for name in (*SPLITS, "total")]
    return "\n".join(
        [
            "## Splits",
            "",
            "All passages of one source document stand in one split.",
            "",
            "| split | rows |",
            "| --- | ---: |",
            *rows,
        ]
    )


def _columns() -> str:
    return (
        "## Columns\n\n"
        "`messages` is the chat (system, user, assistant). Beside it stand where the row is from "
        "(`sample_id`, `source_id`, `completion_id`, `parent_id`, `prompt_id`), who wrote it "
        "(`teacher`, `model`, `attempt`, `finish_reason`, tokens, `recipe_hash`), and what was "
        "said of it (`judge_scores`, `mean_score`, `gate_reasons`, `decision`). JSONL and Parquet "
        "hold the same rows."
    )


def _loading() -> str:
    return (
        "```python\n"
        "from datasets import load_dataset\n\n"
        'rows = load_dataset("path/to/this/folder", split="train")\n'
        "```"
    )


def _origin(manifest: Mapping[str, Any]) -> str:
    lines = ["## Where it is from", ""]
    lines += [f"- teacher {_code(name)}" for name in manifest["teachers"]]
    lines += [f"- judge {_code(name)}" for name in manifest["judges"]]
    lines += [
        f"- recipe {_code(one['name'])} version {one['version']}, sha256 `{one['sha256']}`"
        for one in manifest["recipes"]
    ]
    lines += [
        f"- source file {_code(one['name'])}, sha256 `{one['sha256']}`"
        for one in manifest["sources"]
    ]
    lines.append(f"- content sha256 `{manifest['content_sha256']}`")
    return "\n".join(lines)


def _waterfall(waterfall: Mapping[str, Any]) -> str:
    lines = ["## What was left out", "", "| step | sample × draws | lost before it |"]
    lines.append("| --- | ---: | --- |")
    for step in waterfall["steps"]:
        losses = ", ".join(f"{one['count']:,} {_cell(one['label'])}" for one in step["losses"])
        lines.append(f"| {_cell(step['label'])} | {step['count']:,} | {losses} |")
    return "\n".join(lines)


def _code(name: str) -> str:
    """A name from outside as code, so that nothing in it is Markdown."""
    return f"`{' '.join(name.replace('`', 'ʼ').split())}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "/")
