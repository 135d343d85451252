"""Whether a value fits a JSON schema, as far as the schemas of this project go.

Types, `properties`, `required`, `additionalProperties` and `items`; anything else is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
}


def misfits(value: Any, schema: Mapping[str, Any], place: str = "the reply") -> list[str]:
    """What does not fit, each with its place; empty where the value fits."""
    return list(_misfits(value, schema, place))


def _misfits(value: Any, schema: Mapping[str, Any], place: str) -> Iterator[str]:
    expected = _TYPES.get(str(schema.get("type")))
    is_wrong_bool = isinstance(value, bool) and schema.get("type") in ("number", "integer")
    if is_wrong_bool or (expected is not None and not isinstance(value, expected)):
        yield f"{place} is not of type {schema['type']}"
    elif isinstance(value, dict):
        yield from _misfits_of_object(value, schema, place)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, part in enumerate(value):
            yield from _misfits(part, schema["items"], f"{place}[{index}]")


def _misfits_of_object(
    value: Mapping[str, Any], schema: Mapping[str, Any], place: str
) -> Iterator[str]:
    properties = schema.get("properties")
    known = properties if isinstance(properties, dict) else {}
    for name in schema.get("required") or ():
        if name not in value:
            yield f"{place} has no {name!r}"
    for name, part in value.items():
        if name in known:
            yield from _misfits(part, known[name], f"{place}.{name}")
        elif schema.get("additionalProperties") is False:
            yield f"{place} has {name!r}, which the schema does not know"
