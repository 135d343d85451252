"""A training example on disk: one row, as a line of JSON and as a row of Parquet.

`messages` comes first and holds nothing but roles and contents, which is what trainers expect;
everything else is flat, beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import orjson
import pyarrow as pa

from distill.logic.types import Message, Scores

SFT_SCHEMA = pa.schema(
    [
        pa.field(
            "messages",
            pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())])),
        ),
        ("prompt_id", pa.string()),
        ("completion_id", pa.string()),
        ("parent_id", pa.string()),
        ("sample_id", pa.string()),
        ("source_id", pa.string()),
        ("domain", pa.string()),
        ("template_name", pa.string()),
        ("split", pa.string()),
        ("teacher", pa.string()),
        ("model", pa.string()),
        ("attempt", pa.int32()),
        ("finish_reason", pa.string()),
        ("prompt_tokens", pa.int64()),
        ("completion_tokens", pa.int64()),
        pa.field(
            "judge_scores",
            pa.list_(
                pa.struct(
                    [("judge", pa.string()), ("dimension", pa.string()), ("score", pa.float64())]
                )
            ),
        ),
        ("mean_score", pa.float64()),
        ("gate_reasons", pa.list_(pa.string())),
        ("decision", pa.string()),
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
    domain: str,
    template_name: str,
    split: str,
    teacher: str,
    model: str,
    attempt: int,
    finish_reason: str,
    prompt_tokens: int | None,
    completion_tokens: int | None,
    judge_scores: Sequence[Scores],
    mean_score: float | None,
    gate_reasons: Sequence[str],
    decision: str | None,
    recipe_hash: str,
    include_system: bool = True,
) -> dict[str, Any]:
    """One row: the chat (system, user, assistant) and where it comes from.

    `prompt_id` is the SHA-256 (hex) of the messages before the assistant's, the system message
    always included: rows with the same one answer the same question.
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
        "domain": domain,
        "template_name": template_name,
        "split": split,
        "teacher": teacher,
        "model": model,
        "attempt": attempt,
        "finish_reason": finish_reason,
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "judge_scores": [
            {"judge": scores.judge, "dimension": name, "score": float(score)}
            for scores in judge_scores
            for name, score in scores.by_dimension.items()
        ],
        "mean_score": mean_score,
        "gate_reasons": [str(reason) for reason in gate_reasons],
        "decision": decision,
        "recipe_hash": recipe_hash,
    }


def sft_bytes(row: dict[str, Any]) -> bytes:
    """The row as one line of JSONL: UTF-8, keys in the row's order, line breaks escaped."""
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def _prompt_id(messages: Sequence[Message]) -> str:
    prompt = [[item.role, item.content] for item in messages if item.role != "assistant"]
    return hashlib.sha256(orjson.dumps(prompt)).hexdigest()
