"""What a training run is asked to do: one validated, serialisable document, YAML in and out."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from distill.logic.document_yaml import load_document, write_yaml
from distill.logic.documents import Document, between

TINY = "tiny"

Tag = Annotated[
    str,
    StringConstraints(min_length=1, max_length=50, strip_whitespace=True, pattern=r"^[\w.:+-]+$"),
]


class TinyConfig(Document):
    """The `tiny` student: created from these numbers, its tokenizer trained on the export.

    `vocab` is a ceiling: a small corpus gives fewer tokens, and the model gets as many.
    """

    layers: Annotated[int, between(1, 12)] = 2
    hidden: Annotated[int, between(32, 1024)] = 128
    heads: Annotated[int, between(1, 16)] = 4
    vocab: Annotated[int, between(300, 32_000)] = 4096

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.hidden % (2 * self.heads):  # positions turn pairs of a head's numbers
            raise ValueError(f"tiny.hidden ({self.hidden}) must be a multiple of twice heads")
        return self


class TrainSpec(Document):
    """Frozen with its training run. Lengths are in tokens, steps are optimiser steps.

    `student` is `tiny`, a folder of a transformers model, or a hub id (then with `revision`).
    A batch of a step is `batch_size` × `accumulation` × `processes` rows.
    """

    name: Annotated[str, Field(min_length=1, max_length=100)] = "baseline"
    student: Annotated[str, Field(min_length=1, max_length=300)] = TINY
    revision: Annotated[str, Field(max_length=100)] | None = None
    tiny: TinyConfig = TinyConfig()
    max_length: Annotated[int, between(32, 131_072)] = 1024
    too_long: Literal["drop", "refuse"] = "drop"
    epochs: Annotated[float, between(0.01, 1000)] = 3.0
    max_steps: Annotated[int, between(1, 10_000_000)] | None = None
    batch_size: Annotated[int, between(1, 1024)] = 4
    accumulation: Annotated[int, between(1, 1024)] = 1
    learning_rate: Annotated[float, between(1e-8, 1)] = 3e-3
    scheduler: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_steps: Annotated[int, between(0, 1_000_000)] = 5
    weight_decay: Annotated[float, between(0, 1)] = 0.0
    clip: Annotated[float, between(0.01, 1000)] = 1.0
    packing: bool = False
    bf16: bool = False
    gradient_checkpointing: bool = False
    device: Literal["auto", "cpu"] = "auto"
    processes: Annotated[int, between(1, 64)] = 1
    threads: Annotated[int, between(1, 256)] = 1
    seed: Annotated[int, between(0, 2**31 - 1)] = 0
    log_every: Annotated[int, between(1, 10_000)] = 1
    validate_every: Annotated[int, between(1, 1_000_000)] = 25
    save_every: Annotated[int, between(1, 1_000_000)] = 25
    keep: Annotated[int, between(1, 100)] = 2
    tags: Annotated[tuple[Tag, ...], Field(max_length=20)] = ()


class AnswerSpec(Document):
    """What the runner of an evaluation is asked to do; lengths in tokens.

    `models` maps a role (student, base) to the folder or hub id of its weights.
    """

    models: dict[str, str]
    revision: str | None = None
    max_length: int
    max_new_tokens: int = 512
    batch_size: int = 8
    device: Literal["auto", "cpu"] = "auto"
    threads: int = 1


def load_spec(text: str) -> TrainSpec:
    """The spec that a YAML document describes. InputError names line, key and remedy."""
    return load_document(TrainSpec, text, what="training config")


def dump_spec(spec: TrainSpec) -> str:
    """The whole spec as YAML, defaults included; `load_spec` gives the same spec again."""
    return write_yaml(spec.model_dump(mode="json"))
