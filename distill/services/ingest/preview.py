"""How a file would be imported, shown before it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from distill.logic.columns import Mapping, check_mapping, column_paths, guess_mapping
from distill.logic.errors import InputError
from distill.logic.samples import Refusal, SampleDraft, draft_sample
from distill.services.ingest.readers import Row, read_rows

LOOKED_AT = 200
"""So many first rows decide which columns there are and what they hold."""

_LOOKED_AT_CHARS = 20_000_000
_SHOWN_ROWS = 5
_SHOWN_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a row, or the file as a whole (line 0), cannot be imported."""

    line: int
    field: str
    message: str
    excerpt: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """Columns and paths of a file, a mapping, the first samples it gives, and what is wrong."""

    columns: tuple[str, ...]
    mapping: Mapping
    rows: tuple[SampleDraft, ...]
    problems: tuple[Problem, ...]

    @property
    def can_import(self) -> bool:
        return bool(self.rows)


def preview_file(path: Path, name: str, mapping: Mapping | None = None) -> Preview:
    """Look at a file's first rows, with the mapping given or the one that is guessed.

    Raises `InputError` where the file cannot be read at all; a mapping that does not fit is a
    problem of the preview.
    """
    rows = _first_rows(path, name)
    values = [row.values for row in rows if row.values is not None]
    columns = column_paths(values)
    mapping = mapping if mapping is not None else guess_mapping(columns, values)
    if not columns:
        empty = Problem(0, "", f"{Path(name).name} holds no rows.")
        unread = _unreadable(rows) or [empty]
        return Preview((), mapping, (), tuple(unread[:_SHOWN_PROBLEMS]))
    try:
        check_mapping(mapping, columns, Path(name).name)
    except InputError as error:
        unfit = (Problem(0, "", str(error)), *_unreadable(rows))
        return Preview(tuple(columns), mapping, (), unfit[:_SHOWN_PROBLEMS])
    drafts, problems = _drafts(rows, mapping)
    return Preview(
        tuple(columns), mapping, tuple(drafts[:_SHOWN_ROWS]), tuple(problems[:_SHOWN_PROBLEMS])
    )


def choose_mapping(path: Path, name: str, mapping: Mapping | None = None) -> Mapping:
    """The mapping to import a file with: the given one or the guess, checked against the file."""
    values = [row.values for row in _first_rows(path, name) if row.values]
    columns = column_paths(values)
    if not columns:
        first = next(read_rows(path, name), None)
        if first is None:
            raise InputError(f"{Path(name).name} holds no rows.")
        raise InputError(f"{Path(name).name}: none of its first rows can be read. {first.problem}")
    mapping = mapping if mapping is not None else guess_mapping(columns, values)
    check_mapping(mapping, columns, Path(name).name)
    return mapping


def draft_row(row: Row, mapping: Mapping) -> SampleDraft | Problem:
    """The sample that a row makes, or why it makes none."""
    if row.values is None:
        return Problem(row.line, "", row.problem, row.excerpt)
    draft = draft_sample(row.values, mapping)
    if isinstance(draft, Refusal):
        return Problem(row.line, draft.field, draft.message, draft.excerpt)
    return draft


def _first_rows(path: Path, name: str) -> list[Row]:
    """The rows to look at: `LOOKED_AT`, fewer where they are so large that they fill the memory."""
    rows, num_chars = [], 0
    for row in islice(read_rows(path, name), LOOKED_AT):
        rows.append(row)
        cells = (row.values or {}).values()
        num_chars += sum(len(cell) for cell in cells if isinstance(cell, str))
        if num_chars > _LOOKED_AT_CHARS:
            break
    return rows


def _unreadable(rows: Iterable[Row]) -> list[Problem]:
    return [Problem(row.line, "", row.problem, row.excerpt) for row in rows if row.values is None]


def _drafts(rows: Iterable[Row], mapping: Mapping) -> tuple[list[SampleDraft], list[Problem]]:
    drafts: list[SampleDraft] = []
    problems: list[Problem] = []
    for row in rows:
        drafted = draft_row(row, mapping)
        if isinstance(drafted, Problem):
            problems.append(drafted)
        else:
            drafts.append(drafted)
    return drafts, problems
