"""What every validated document shares: frozen, no unknown keys, ranges that name themselves."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

UNKNOWN_KEY = "unknown_key"
"""The type of the error about unknown keys; its context holds `by_key`: each with its hint."""

_MAX_NAMED = 10


class Document(BaseModel):
    """A frozen model that refuses unknown keys and names the nearest one it knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        unknown = [str(key) for key in data if key not in cls.model_fields]
        if unknown:
            named = unknown[:_MAX_NAMED]
            hints = [_unknown_key(key, list(cls.model_fields)) for key in named]
            if len(unknown) > _MAX_NAMED:
                hints[-1] += f"; and {len(unknown) - _MAX_NAMED:,} further unknown keys"
            by_key = tuple(zip(named, hints, strict=True))
            # Braces in a key would be read as places of pydantic's message template.
            raise PydanticCustomError(
                UNKNOWN_KEY, "{hints}", {"hints": "; ".join(hints), "by_key": by_key}
            )
        return data


def _unknown_key(key: str, known: list[str]) -> str:
    key = key[:80]
    near = get_close_matches(key, known, n=1, cutoff=0.5)
    if near:
        return f'unknown key "{key}", did you mean "{near[0]}"?'
    return f'unknown key "{key}", known are {", ".join(known)}'


def between(low: float, high: float) -> BeforeValidator:
    """A number from `low` to `high`, both allowed; the error names the value and the range.

    Stricter than pydantic by itself: `true` and "0.2" are no numbers.
    """

    def check(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise PydanticCustomError("no_number", "must be a number from {low} to {high}", shown)
        if not low <= value <= high:  # also true for NaN
            raise PydanticCustomError(
                "out_of_range",
                "{value} is out of range, allowed is {low} to {high}",
                {"value": value, **shown},
            )
        return value

    shown = {"low": low, "high": high}
    return BeforeValidator(check)
