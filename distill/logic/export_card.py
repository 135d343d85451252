"""The README of an export: what is in it, made by whom, and what was left out on the way.

Its head is the YAML that the Hugging Face Hub reads. Nothing in it depends on the day or the
machine: the same manifest gives the same card.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from distill.logic.export_head import card_head
from distill.logic.export_snippets import load_snippet
from distill.logic.sft_configs import CONFIGS, MAIN, SPLITS

STAND_IN = "offline:"
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
    head = yaml.safe_dump(card_head(manifest), sort_keys=False, allow_unicode=True)
    parts = [
        f"---\n{head}---",
        f"# {manifest['dataset']}",
        *_stand_in_warning(manifest),
        "Hypothesis–method pairs written by a model from scientific passages, made with Nexa "
        f"Distill. Policy `{manifest['policy']}`: {_POLICIES[manifest['policy']]}.",
        _splits(manifest),
        _configs(manifest),
        _labels(manifest),
        _columns(),
        _origin(manifest),
        *_recipes(manifest),
        *_screening(manifest),
        _waterfall(manifest["waterfall"]),
        _license(manifest),
    ]
    return "\n\n".join(parts) + "\n"


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
    ("gate_flags", "what the gate wanted a person to look at"),
    (
        "decision, label_basis, reviewer",
        "what people said (`review_decision` elsewhere); null where nobody decided. Reviewers are "
        "numbered as they come in this export: the names mean nothing outside of it. When is left "
        "out on purpose",
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


def _configs(manifest: Mapping[str, Any]) -> str:
    """Every config with its rows, and how it is loaded."""
    rows = [
        f"| `{name}` | {counts['total']:,} | {CONFIGS[name].about} |"
        for name in CONFIGS
        if (counts := manifest["configs"].get(name))
    ]
    lines = ["## Configs", "", "| config | rows | what it is |", "| --- | ---: | --- |", *rows, ""]
    snippets = ["```python", load_snippet(MAIN, dataset=manifest["dataset"]), "```"]
    return "\n".join([*lines, *_LOADING, *snippets])


_LOADING = (
    "The question and the answer are the same text in each. `preference` and `rejected` hold the "
    "splits of their sources too, and nothing of them is in the others' `train`. LLaMA-Factory "
    "reads `dataset_info.json`, with this folder as its `dataset_dir`; axolotl takes "
    "`train.jsonl` with `type: chat_template` and `field_messages: messages`.",
    "",
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
    lines = ["## Recipes", "", "Whole in `manifest.json`, with every prompt and threshold."]
    for recipe in manifest["recipes"]:
        lines += ["", *_recipe(recipe)]
    return ["\n".join(lines)]


def _recipe(recipe: Mapping[str, Any]) -> list[str]:
    document = recipe["document"]
    teacher, gate = document["teacher"], document["gate"]
    return [
        f"- {_code(recipe['name'])}, sha256 `{recipe['sha256']}`",
        f"  - asked {_code(teacher['name'])} at temperature {teacher['temperature']}, at most "
        f"{teacher['max_tokens']:,} tokens, {teacher['draws']} draws; "
        f"{document['regeneration']['max_attempts']} attempts at most",
        f"  - prompts: {', '.join(_code(name) for name in sorted(document['templates']))}",
        *(
            f"  - judge {_code(judge['name'])}: {_code(judge['teacher'])} at temperature "
            f"{judge['temperature']}"
            for judge in document["judges"]
        ),
        f"  - gate: {_settings(gate)}",
    ]


def _settings(document: Mapping[str, Any]) -> str:
    """A part of a document in one line; what is unset is left out. A database keeps no order."""
    told = (
        (name, value) for name, value in sorted(document.items()) if value not in (None, {}, [])
    )
    return ", ".join(f"{name} {_code(str(value))}" for name, value in told)


def _screening(manifest: Mapping[str, Any]) -> list[str]:
    """What was left out as a copy, or because it stands in held-out text."""
    screening = manifest["screening"]
    if not screening:
        return []
    lines = ["## Copies and contamination", ""]
    lines += [f"- {part}: {_settings(screening[part])}" for part in sorted(screening)]
    return ["\n".join(lines)]


def _license(manifest: Mapping[str, Any]) -> str:
    lines = [
        "## Licence",
        "",
        "The licence of the source texts applies, and the terms of the models that answered: who "
        "publishes these rows must know that both allow it. Nexa Distill adds none of its own.",
        "",
        "> **Before you publish:** write the licence into this file's head, in place of `unknown`.",
    ]
    lines += ["", *(f"- {_terms(name)}" for name in manifest["teachers"])]
    told = [f"- {_code(one['license'])}: {one['rows']:,}" for one in manifest["source_licenses"]]
    if told:
        lines += ["", "Of the sources the files say (with the rows):", "", *told]
    return "\n".join(lines)


def _terms(teacher: str) -> str:
    if is_stand_in([teacher]):
        return f"{_code(teacher)}: sentences of the sources put together; their licence applies"
    return f"{_code(teacher)}: the provider's terms for what its models write"


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
