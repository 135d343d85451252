"""Batches of rows past the ORM: one statement each, whose columns travel as binary arrays.

For the hot path alone, where an object for each row costs more than the row itself
(docs/decisions/0020-hot-path.md). Triggers, constraints and transactions hold as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson
import psycopg
from django.contrib.postgres.fields import ArrayField
from django.db import connection, models

Row = tuple[Any, ...]


def fetch(sql: str, parameters: Sequence[object]) -> list[Row]:
    """Run a statement whose parameters (`%b`) and rows travel in binary; return its rows.

    Raises Django's database errors.
    """
    return _execute(sql, parameters).fetchall()


def change(sql: str, parameters: Sequence[object]) -> int:
    """Run such a statement that returns nothing; say how many rows it changed."""
    return _execute(sql, parameters).rowcount


def insert_rows(
    model: type[models.Model],
    names: tuple[str, ...],
    rows: Iterable[Row],
    *,
    returning: tuple[str, ...] = (),
) -> list[Row]:
    """Insert the rows that break no unique constraint; return their columns `returning`.

    `names` are the model's fields (`call_id`, `text`) in the order of each row's values, as Python
    has them. Times of creation are set; other fields that are not named must be nullable.
    """
    columns = list(zip(*rows, strict=True))
    if not columns:
        return []
    statement = _insertion(model, names, returning)
    for place, write in statement.writers:
        columns[place] = tuple(map(write, columns[place]))
    cursor = _execute(statement.sql, [list(column) for column in columns])
    return cursor.fetchall() if returning else []


def _execute(sql: str, parameters: Sequence[object]) -> psycopg.Cursor[Row]:
    connection.ensure_connection()
    # Django's own cursor writes values into the statement's text: ten times the CPU for an array.
    cursor = psycopg.Cursor(connection.connection)
    with connection.wrap_database_errors:
        return cursor.execute(sql, parameters, binary=True)


@dataclass(frozen=True, slots=True)
class _Insertion:
    """`writers`: which of a row's values are written as text, and how."""

    sql: str
    writers: tuple[tuple[int, Callable[[Any], str]], ...]


@cache
def _insertion(
    model: type[models.Model], names: tuple[str, ...], returning: tuple[str, ...]
) -> _Insertion:
    fields = {field.attname: field for field in model._meta.concrete_fields}
    columns = [_column(fields[name]) for name in names]
    times = [_column(field) for field in fields.values() if getattr(field, "auto_now_add", False)]
    types = [_type_of(fields[name]) for name in names]
    marks = [f"c{place}" for place in range(len(names))]
    # `unnest` takes arrays of arrays apart: these and JSON travel as text.
    is_text = [one == "jsonb" or one.endswith("[]") for one in types]
    arrays = [f"%b::{'text' if text else one}[]" for one, text in zip(types, is_text, strict=True)]
    values = [f"{mark}::{one}" for mark, one in zip(marks, types, strict=True)]
    parts = [
        f"INSERT INTO {model._meta.db_table} ({', '.join(columns + times)})",
        f"SELECT {', '.join(values + ['statement_timestamp()'] * len(times))}",
        f"FROM unnest({', '.join(arrays)}) AS given ({', '.join(marks)})",
        "ON CONFLICT DO NOTHING",
    ]
    if returning:
        parts.append(f"RETURNING {', '.join(_column(fields[name]) for name in returning)}")
    writers = tuple(
        (place, _as_json if types[place] == "jsonb" else _as_array)
        for place, text in enumerate(is_text)
        if text
    )
    return _Insertion("\n".join(parts), writers)


def _column(field: models.Field[Any, Any]) -> str:
    return str(field.column)


def _type_of(field: models.Field[Any, Any]) -> str:
    if isinstance(field, ArrayField):
        return f"{_type_of(field.base_field)}[]"
    name = field.db_type(connection) or ""
    # A cast to varchar(40) would cut off what is too long; the assignment refuses it.
    return "text" if name.startswith("varchar") else name


def _as_json(value: object) -> str:
    return orjson.dumps(value).decode()


def _as_array(texts: Sequence[str]) -> str:
    quoted = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return "{" + ",".join(f'"{text}"' for text in quoted) + "}"
