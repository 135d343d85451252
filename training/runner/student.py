"""The student: `tiny`, created here with a tokenizer of its own, or one that exists already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from distill.logic.errors import InputError
from training.logic.spec import TINY, TrainSpec
from training.runner.publish import whole_folder
from training.runner.tiny_tokenizer import train_tokenizer

_ROOM_FOR_ANSWERS = 8192


@dataclass(frozen=True, slots=True)
class Student:
    """A model, and the tokenizer with the chat template that belongs to it."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


def ensure_base(spec: TrainSpec, rows: Iterable[Mapping[str, Any]], folder: Path) -> None:
    """Make the untrained `tiny` student in `folder`, unless it is there or another is wanted."""
    if spec.student == TINY and not folder.exists():
        with whole_folder(folder) as draft:
            tokenizer = train_tokenizer(rows, vocab=spec.tiny.vocab)
            tokenizer.save_pretrained(draft)
            make_tiny(spec, tokenizer).save_pretrained(draft)


def load_student(spec: TrainSpec, base: Path) -> Student:
    """The student in full precision, from `base`, its folder or the hub.

    Raises InputError where it cannot be loaded, or reads fewer tokens than `max_length`.
    """
    source = str(base) if spec.student == TINY else spec.student
    student = load_model(source, revision=spec.revision, dtype=torch.float32)
    context = getattr(student.model.config, "max_position_embeddings", None)
    if context is not None and spec.max_length > context:
        raise InputError(
            f"max_length is {spec.max_length:,}, and {spec.student} reads {context:,} tokens at "
            f"most: set max_length to {context} or less."
        )
    return student


def load_model(source: str, *, revision: str | None, dtype: torch.dtype) -> Student:
    """A causal language model and its tokenizer from a folder or a hub.

    Raises InputError in one line, whatever the libraries say.
    """
    where = {} if Path(source).is_dir() else {"revision": revision or "main"}
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, **where)
        model = AutoModelForCausalLM.from_pretrained(source, dtype=dtype, **where)
    except (OSError, ValueError, KeyError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{source} cannot be loaded: {reason} Give a folder with a transformers model, or set "
            "HF_HOME to a cache that holds it (without HF_HUB_OFFLINE it is fetched from the hub)."
        ) from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return Student(model, tokenizer)


def make_tiny(spec: TrainSpec, tokenizer: PreTrainedTokenizerBase) -> Qwen3ForCausalLM:
    """A small Qwen3 with random weights, the same for the same spec and vocabulary."""
    torch.manual_seed(spec.seed)
    tiny = spec.tiny
    config = Qwen3Config(
        # Not `tiny.vocab`: a small corpus gives fewer tokens, the rest would be dead weight.
        vocab_size=len(tokenizer),
        hidden_size=tiny.hidden,
        intermediate_size=3 * tiny.hidden,
        num_hidden_layers=tiny.layers,
        num_attention_heads=tiny.heads,
        num_key_value_heads=tiny.heads // 2 if tiny.heads % 2 == 0 else tiny.heads,
        head_dim=tiny.hidden // tiny.heads,
        max_position_embeddings=spec.max_length + _ROOM_FOR_ANSWERS,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return Qwen3ForCausalLM(config)
