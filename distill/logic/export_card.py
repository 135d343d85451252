"""The README of an export: what is in it, made by whom, and what was left out on the way.

Its head is the YAML that the Hugging Face Hub reads. Nothing in it depends on the day or the
machine: the same manifest gives the same card.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import yaml

from distill.logic.sft import SFT_SCHEMA

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
    "gold": "every row was accepted by several people who agreed, or by one who settled it",
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
        _labels(manifest),
        _columns(),
        _loading(),
        _origin(manifest),
        *_recipes(manifest),
        _waterfall(manifest["waterfall"]),
        _license(manifest),
    ]
    return "\n\n".join(parts) + "\n"


def _head(manifest: Mapping[str, Any]) -> dict[str, Any]:
    counts: Mapping[str, int] = manifest["counts"]
    human = [] if manifest["policy"] == "gate" else ["expert-generated"]
    parquet = {
        file["split"]: file["bytes"]
        for file in manifest["files"]
        if file["name"].endswith(".parquet")
    }
    # `datasets` refuses the whole export where a split that is named has no row.
    filled = [name for name in SPLITS if counts[name]]
    return {
        "license": "unknown",
        "pretty_name": manifest["dataset"],
        "size_categories": [_size(counts["total"])],
        "task_categories": ["text-generation"],
        "tags": ["synthetic", "distillation", "scientific-hypotheses", "nexa-distill"],
        "annotations_creators": ["machine-generated", *human],
        "source_datasets": ["original"],
        "configs": [
            {
                "config_name": "default",
                "default": True,
                "data_files": [
                    {"split": name, "path": f"data/{name}-*.parquet"} for name in filled
                ],
            }
        ],
        "dataset_info": {
            "features": _features(),
            "splits": [
                {"name": name, "num_bytes": parquet[name], "num_examples": counts[name]}
                for name in filled
            ],
        },
    }


def _features() -> list[dict[str, Any]]:
    """The columns as the Hub names their types."""
    return [{"name": field.name, **_type(field.type)} for field in SFT_SCHEMA]


def _type(kind: pa.DataType) -> dict[str, Any]:
    if not pa.types.is_list(kind):
        return {"dtype": _DTYPES.get(str(kind), str(kind))}
    if not pa.types.is_struct(kind.value_type):
        return {"list": _DTYPES.get(str(kind.value_type), str(kind.value_type))}
    return {"list": [{"name": one.name, **_type(one.type)} for one in kind.value_type]}


_DTYPES = {"double": "float64"}


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


def _labels(manifest: Mapping[str, Any]) -> str:
    counted = ", ".join(f"{count:,} {name}" for name, count in manifest["labels"].items())
    return (
        f"Labels by basis: {counted}. (`single`: one person; `unanimous`: several who agreed; "
        "`adjudicated`: settled by one after others had disagreed; `legacy`: made elsewhere; "
        "`none`: nobody has accepted it.)"
    )


_COLUMNS = (
    ("messages", "the chat: system, user, assistant; nothing but role and content"),
    ("prompt_id", "SHA-256 of the messages before the assistant's: the same question, the same id"),
    ("completion_id, parent_id", "the answer, and the rejected one that it improves on"),
    (
        "sample_id, source_id",
        "the passage, and the document that it is from: no document stands in two splits",
    ),
    ("source_sha256", "SHA-256 of the passage"),
    (
        "source_license",
        "what the source file says in a column `source_license`, `license` or "
        "`licence`; null where it says nothing",
    ),
    ("domain, template_name, split", "as imported; the split follows from the source"),
    ("teacher, model", "as configured (`provider:model`), and the id that answered"),
    ("teacher_params", "JSON: temperature and most tokens; null for answers that were imported"),
    ("prompt_version", "the template and a hash of its text"),
    ("draw, attempt", "which of several answers to one question; how often it was asked again"),
    ("finish_reason, prompt_tokens, completion_tokens", "as the provider told"),
    ("cost_usd", "what this answer cost when it was bought; null where the price is not known"),
    ("judge_models, judge_scores, mean_score", "who scored it and how, from 0 to 1"),
    ("gate_version", "a hash of rules, judges, rubric and thresholds"),
    ("gate_reasons", "what the gate found against it: people may have accepted it all the same"),
    (
        "decision, label_basis",
        "what people said (`review_decision` elsewhere); null where nobody "
        "accepted it. When and by whom is left out on purpose",
    ),
    ("recipe_hash", "the recipe that asked, whole in manifest.json"),
)


def _columns() -> str:
    rows = [
        f"| {', '.join(f'`{name}`' for name in names.split(', '))} | {words} |"
        for names, words in _COLUMNS
    ]
    head = ["## Columns", "", "JSONL and Parquet hold the same rows.", ""]
    return "\n".join([*head, "| column | meaning |", "| --- | --- |", *rows])


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
        f"- source file {_code(one['name'])}, sha256 `{one['sha256']}`"
        for one in manifest["sources"]
    ]
    tokens, cost = manifest["tokens"], manifest["cost"]
    lines.append(f"- {tokens['prompt']:,} prompt and {tokens['completion']:,} completion tokens")
    lines.append(f"- {_cost(cost)}")
    lines.append(f"- content sha256 `{manifest['content_sha256']}`")
    return "\n".join(lines)


def _cost(cost: Mapping[str, Any]) -> str:
    known = f"the answers cost {cost['usd']:,.4f} USD"
    if not cost["num_unpriced"]:
        return known
    return f"{known}, not counting {cost['num_unpriced']:,} whose price is not known"


def _recipes(manifest: Mapping[str, Any]) -> list[str]:
    if not manifest["recipes"]:
        return []
    lines = ["## Recipes", "", "Whole in `manifest.json`."]
    for recipe in manifest["recipes"]:
        document = recipe["document"]
        teacher, gate = document["teacher"], document["gate"]
        judges = ", ".join(_code(judge["teacher"]) for judge in document["judges"]) or "no judge"
        lines += [
            "",
            f"- {_code(recipe['name'])}, sha256 `{recipe['sha256']}`",
            f"  - asked {_code(teacher['name'])} at temperature {teacher['temperature']}, at most "
            f"{teacher['max_tokens']:,} tokens; {document['regeneration']['max_attempts']} "
            "attempts at most",
            f"  - judged by {judges}; a mean of {gate['min_mean']} passes the gate",
        ]
    return ["\n".join(lines)]


def _license(manifest: Mapping[str, Any]) -> str:
    text = (
        "## Licence\n\nThe licence of the source texts and the terms of the models that answered "
        "apply. Nexa Distill adds none of its own."
    )
    told = [f"- {_code(one['license'])}: {one['rows']:,}" for one in manifest["source_licenses"]]
    return (
        "\n".join([text, "", "Of the sources the files say (with the rows):", "", *told])
        if told
        else text
    )


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
