"""How much work a training will be."""

from __future__ import annotations

from typing import Any

import pytest

from training.logic.estimate import count_steps, estimate_tokens, rows_a_step
from training.logic.spec import TrainSpec


@pytest.mark.parametrize(
    ("spec", "num_rows", "num_steps"),
    [
        ({"batch_size": 4, "epochs": 3}, 100, 75),
        ({"batch_size": 4, "epochs": 1}, 101, 26),
        ({"batch_size": 4, "accumulation": 8, "epochs": 2}, 100, 8),
        ({"batch_size": 4, "processes": 2, "epochs": 1}, 100, 13),
        ({"batch_size": 4, "epochs": 0.5}, 100, 13),
        ({"batch_size": 4, "max_steps": 7}, 100, 7),
    ],
)
def test_steps_are_counted_as_the_trainer_does(
    spec: dict[str, Any], num_rows: int, num_steps: int
) -> None:
    assert count_steps(TrainSpec(**spec), num_rows) == num_steps


def test_a_step_sees_batches_of_all_processes() -> None:
    assert rows_a_step(TrainSpec(batch_size=4, accumulation=2, processes=3)) == 24


def test_four_characters_are_a_token() -> None:
    assert estimate_tokens(1200.0, 10) == 3000
