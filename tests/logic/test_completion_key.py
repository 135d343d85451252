"""The name of a completion."""

from __future__ import annotations

from typing import Any

import pytest

from distill.logic.completion_key import completion_key

PARTS: dict[str, Any] = {
    "sample_key": "a" * 32,
    "draw": 0,
    "attempt": 1,
    "teacher": "offline:x",
    "text": "Yes.",
}


def test_the_key_is_fixed_for_all_time():
    key = completion_key(**PARTS)
    assert key == "44a8249602d88dbfd0c795b3a108a142"


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("sample_key", "b" * 32),
        ("draw", 1),
        ("attempt", 2),
        ("teacher", "offline:y"),
        ("text", "No."),
    ],
)
def test_every_part_counts(part, value):
    assert completion_key(**{**PARTS, part: value}) != completion_key(**PARTS)
