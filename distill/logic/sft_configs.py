"""The forms in which an export is written: one folder each, the same prompt and answer in all.

    messages            the chat, and every column that is known of it
    prompt_completion   the same chat cut where the answer begins
    alpaca              the same chat as instruction and output
    preference          two answers to one question: the one that was taken, and one that was not
    rejected            what the gate or people rejected, with the reasons

The first three hold the same rows. What only `messages` has of a row is found by `completion_id`.
Other programs read these names, so none of them is ours to choose:
https://huggingface.co/docs/trl/dataset_formats (the first two and `preference`),
https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md (`alpaca`, dataset_info.json).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from distill.logic.errors import InputError
from distill.logic.sft import MESSAGES, SFT_SCHEMA

Row = Mapping[str, Any]

SPLITS = ("train", "validation", "test")

_KEPT = (
    *("prompt_id", "completion_id", "sample_id", "source_id"),
    *("domain", "template_name", "split", "mean_score"),
)
_KEPT_FIELDS = [SFT_SCHEMA.field(name) for name in _KEPT]
_STRINGS = pa.list_(pa.string())

PROMPT_COMPLETION_SCHEMA = pa.schema(
    [("prompt", MESSAGES), ("completion", MESSAGES), *_KEPT_FIELDS]
)
ALPACA_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("instruction", "input", "output", "system")),
        ("history", pa.list_(_STRINGS)),
        *_KEPT_FIELDS,
    ]
)
PREFERENCE_SCHEMA = pa.schema(
    [
        *((name, MESSAGES) for name in ("prompt", "chosen", "rejected")),
        *((name, pa.string()) for name in ("pair_source", "prompt_id", "chosen_id", "rejected_id")),
        *((name, pa.string()) for name in ("sample_id", "source_id", "domain", "template_name")),
        ("split", pa.string()),
        ("chosen_score", pa.float64()),
        ("rejected_score", pa.float64()),
        ("rejected_reasons", _STRINGS),
    ]
)
REJECTED_SCHEMA = pa.schema(
    [
        *SFT_SCHEMA,
        ("rejected_by", _STRINGS),
        ("rejected_stage", pa.string()),
        ("review_reasons", _STRINGS),
    ]
)


def _prompt_completion(row: Row) -> dict[str, Any]:
    messages = row["messages"]
    return {"prompt": messages[:-1], "completion": messages[-1:], **_kept(row)}


def _alpaca(row: Row) -> dict[str, Any]:
    """`input` stays empty: readers join it to the instruction with words or lines of their own,
    and the question is the same text in every config.
    """
    said = {message["role"]: message["content"] for message in row["messages"]}
    return {
        "instruction": said["user"],
        "input": "",
        "output": said["assistant"],
        "system": said.get("system", ""),
        "history": [],
        **_kept(row),
    }


def _kept(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in _KEPT}


def _as_it_is(row: Row) -> Row:
    return row


@dataclass(frozen=True, slots=True)
class Config:
    """One form: its columns, what it is for, and how it is made of the rows that are read for it."""

    name: str
    about: str
    schema: pa.Schema
    convert: Callable[[Row], Row] = _as_it_is

    @property
    def lines_folder(self) -> str:
        """Where its JSONL files lie in an export; empty for the export's own folder."""
        return "" if self.name == MAIN else self.name

    @property
    def shards_folder(self) -> str:
        """Where its Parquet files lie."""
        return "data" if self.name == MAIN else self.name


MAIN = "messages"
CONFIGS: Mapping[str, Config] = {
    config.name: config
    for config in (
        Config(MAIN, "the chat with every column: TRL, axolotl, LLaMA-Factory", SFT_SCHEMA),
        Config(
            "prompt_completion",
            "the same rows cut where the answer begins: TRL counts the answer alone in the loss",
            PROMPT_COMPLETION_SCHEMA,
            _prompt_completion,
        ),
        Config(
            "alpaca",
            "the same rows as instruction and output: LLaMA-Factory, axolotl",
            ALPACA_SCHEMA,
            _alpaca,
        ),
        Config(
            "preference",
            "an accepted answer and a rejected one to the same question: DPO and its kin",
            PREFERENCE_SCHEMA,
        ),
        Config(
            "rejected",
            "what the gate or people rejected, with the reasons: not for training as it stands",
            REJECTED_SCHEMA,
        ),
    )
}
SAME_ROWS = (MAIN, "prompt_completion", "alpaca")
"""Written in one pass over the same rows."""


def chosen_configs(names: Iterable[str]) -> tuple[str, ...]:
    """The configs of these names in their own order, `messages` always; all where none is named.

    Raises InputError for a name that is none.
    """
    wanted = set(names)
    if unknown := sorted(wanted - set(CONFIGS)):
        raise InputError(
            f"There is no config {unknown[0]!r} of an export; known are {', '.join(CONFIGS)}."
        )
    return tuple(name for name in CONFIGS if not wanted or name in wanted or name == MAIN)


def preference_row(chosen: Row, rejected: Row, *, pair_source: str) -> dict[str, Any]:
    """Two rows of `logic.sft` that answer one question, as a pair with its prompt said.

    `pair_source` is `attempt` (the rejected one is an earlier attempt) or `edit` (it is the model's
    own answer, which a person corrected). The prompt is the chosen row's.
    """
    return {
        "prompt": chosen["messages"][:-1],
        "chosen": chosen["messages"][-1:],
        "rejected": rejected["messages"][-1:],
        "pair_source": pair_source,
        "prompt_id": chosen["prompt_id"],
        "chosen_id": chosen["completion_id"],
        "rejected_id": rejected["completion_id"],
        **{name: chosen[name] for name in ("sample_id", "source_id", "domain", "template_name")},
        "split": chosen["split"],
        # An edited answer was never scored: the score stands for the model's own.
        "chosen_score": chosen["mean_score"] if pair_source == "attempt" else None,
        "rejected_score": rejected["mean_score"],
        "rejected_reasons": rejected["gate_reasons"],
    }


_TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
}
_LLAMA_FACTORY: Mapping[str, Mapping[str, Any]] = {
    MAIN: {"formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": _TAGS},
    "alpaca": {
        "formatting": "alpaca",
        "columns": {
            "prompt": "instruction",
            "query": "input",
            "response": "output",
            "system": "system",
            "history": "history",
        },
    },
}


def dataset_info(name: str, files: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """LLaMA-Factory's `dataset_info.json` for the JSONL files of an export, by name.

    `files` are entries of a manifest; an empty file is left out, since it cannot be loaded.
    """
    return {
        f"{name}_{file['config']}_{file['split']}": {
            "file_name": file["name"],
            **_LLAMA_FACTORY[file["config"]],
        }
        for file in files
        if file["config"] in _LLAMA_FACTORY and file["rows"] and file["name"].endswith(".jsonl")
    }
