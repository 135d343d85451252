"""How much work a training will be, before anything is read or rendered."""

from __future__ import annotations

import math

from training.logic.spec import TrainSpec

CHARACTERS_A_TOKEN = 4
"""Of English text, with the usual vocabularies; a `tiny` student's small one needs more tokens."""


def rows_a_step(spec: TrainSpec) -> int:
    """How many rows an optimiser step sees."""
    return spec.batch_size * spec.accumulation * spec.processes


def count_steps(spec: TrainSpec, num_rows: int) -> int:
    """Optimiser steps over so many rows, as the trainer counts them.

    A last batch that is not full is a step too. With packing there are fewer: rows share batches.
    """
    if spec.max_steps is not None:
        return spec.max_steps
    batches = math.ceil(num_rows / (spec.batch_size * spec.processes))
    steps_an_epoch = math.ceil(batches / spec.accumulation)
    return math.ceil(spec.epochs * steps_an_epoch)


def estimate_tokens(characters_a_row: float, num_rows: float) -> int:
    """About how many tokens so many rows hold."""
    return round(characters_a_row * num_rows / CHARACTERS_A_TOKEN)
