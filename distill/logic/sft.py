"""A training example on disk: one row, as a line of JSON and as a row of Parquet.

`messages` comes first and holds nothing but roles and contents, which is what trainers expect;
everything else is flat, beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa

from distill.logic.recipe import Recipe
from distill.logic.templates import Template
from distill.logic.types import Message, Scores

_VERSION_DIGITS = 12

MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))

SFT_SCHEMA = pa.schema(
    [
        ("messages", MESSAGES),
        ("prompt_id", pa.string()),
        ("completion_id", pa.string()),
        ("parent_id", pa.string()),
        ("sample_id", pa.string()),
        ("source_id", pa.string()),
        ("source_sha256", pa.string()),
        ("source_license", pa.string()),
        ("domain", pa.string()),
        ("template_name", pa.string()),
        ("split", pa.string()),
        ("teacher", pa.string()),
        ("model", pa.string()),
        ("teacher_params", pa.string()),
        ("prompt_version", pa.string()),
        ("draw", pa.int32()),
        ("attempt", pa.int32()),
        ("finish_reason", pa.string()),
        ("prompt_tokens", pa.int64()),
        ("completion_tokens", pa.int64()),
        ("cost_usd", pa.float64()),
        ("judge_models", pa.list_(pa.string())),
        pa.field(
            "judge_scores",
            pa.list_(
                pa.struct(
                    [("judge", pa.string()), ("dimension", pa.string()), ("score", pa.float64())]
                )
            ),
        ),
        ("mean_score", pa.float64()),
        ("gate_version", pa.string()),
        ("gate_reasons", pa.list_(pa.string())),
        ("gate_flags", pa.list_(pa.string())),
        ("decision", pa.string()),
        ("label_basis", pa.string()),
        ("reviewer", pa.string()),
        ("recipe_hash", pa.string()),
    ]
)
"""The Parquet form of `sft_row`: same fields, same order, every type said."""


def sft_row(
    *,
    messages: Sequence[Message],
    completion_id: str,
    parent_id: str | None,
    sample_id: str,
    source_id: str,
    source_text: str,
    source_license: str | None,
    domain: str,
    template_name: str,
    split: str,
    teacher: str,
    model: str,
    teacher_params: str | None,
    prompt_version: str | None,
    draw: int,
    attempt: int,
    finish_reason: str,
    prompt_tokens: int | None,
    completion_tokens: int | None,
    cost_nano: int | None,
    judge_models: Collection[str],
    judge_scores: Sequence[Scores],
    mean_score: float | None,
    gate_version: str | None,
    gate_reasons: Sequence[str],
    gate_flags: Sequence[str],
    decision: str | None,
    label_basis: str | None,
    reviewer: str | None,
    recipe_hash: str,
    include_system: bool = True,
) -> dict[str, Any]:
    """One row: the chat (system, user, assistant) and where it comes from.

    `prompt_id` is the SHA-256 (hex) of the messages before the assistant's, the system message
    always included: rows with the same one answer the same question. `source_sha256` is that of the
    passage, UTF-8; `teacher_params` is a text of `params_json`. `cost_nano` is in 1e-9 USD, None
    where the price is not known. `reviewer` is a name that holds within one export only.

    No time and no person: the same decisions, made again elsewhere, give the same bytes.
    """
    return {
        "messages": [
            {"role": message.role, "content": message.content}
            for message in messages
            if include_system or message.role != "system"
        ],
        "prompt_id": _prompt_id(messages),
        "completion_id": completion_id,
        "parent_id": parent_id,
        "sample_id": sample_id,
        "source_id": source_id,
        "source_sha256": hashlib.sha256(source_text.encode()).hexdigest(),
        "source_license": source_license,
        "domain": domain,
        "template_name": template_name,
        "split": split,
        "teacher": teacher,
        "model": model,
        "teacher_params": teacher_params,
        "prompt_version": prompt_version,
        "draw": draw,
        "attempt": attempt,
        "finish_reason": finish_reason,
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "cost_usd": None if cost_nano is None else cost_nano / 1e9,
        "judge_models": sorted(judge_models),
        "judge_scores": [
            {"judge": scores.judge, "dimension": name, "score": float(score)}
            for scores in judge_scores
            for name, score in scores.by_dimension.items()
        ],
        "mean_score": mean_score,
        "gate_version": gate_version,
        "gate_reasons": list(gate_reasons),
        "gate_flags": list(gate_flags),
        "decision": decision,
        "label_basis": label_basis,
        "reviewer": reviewer,
        "recipe_hash": recipe_hash,
    }


def sft_bytes(row: Mapping[str, Any]) -> bytes:
    """The row as one line of JSONL: UTF-8, keys in the row's order, line breaks escaped."""
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def params_json(parameters: Mapping[str, object]) -> str:
    """Parameters as JSON text with sorted keys: as a struct they would change the column's type."""
    return _sorted_json(parameters).decode()


def prompt_version(template: Template) -> str:
    """The template's name and 12 hexadecimal digits of its content: another text, another version."""
    return f"{template.name}@{_digest(template.model_dump(mode='json'))}"


def gate_version(recipe: Recipe) -> str:
    """12 hexadecimal digits of what decided: rules, judges, rubric and thresholds."""
    decides = {"rules", "judges", "rubric", "gate"}
    no_prices = {"judges": {"__all__": {"price"}}}
    return _digest(recipe.model_dump(mode="json", include=decides, exclude=no_prices))


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(_sorted_json(content)).hexdigest()[:_VERSION_DIGITS]


def _sorted_json(content: Mapping[str, Any]) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)


def _prompt_id(messages: Sequence[Message]) -> str:
    prompt = [[item.role, item.content] for item in messages if item.role != "assistant"]
    return hashlib.sha256(orjson.dumps(prompt)).hexdigest()
