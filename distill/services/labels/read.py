"""The lines of a label file, each tied to the keys of the completion that it is of, or refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from distill.logic.completion_key import completion_key
from distill.logic.errors import InputError
from distill.logic.label_lines import (
    Form,
    LabelledDecision,
    LabelLineError,
    LegacyLabel,
    form_of,
    read_label_line,
    read_legacy_label,
)
from distill.logic.samples import SampleDraft
from distill.services.ingest.preview import Problem, choose_mapping, draft_row
from distill.services.ingest.readers import read_rows


@dataclass(frozen=True, slots=True)
class TiedLabel:
    """The decisions of one line, and the keys of sample and completion."""

    line: int
    sample_key: str
    completion_key: str
    decisions: tuple[LabelledDecision, ...]


def label_form(path: Path) -> Form | None:
    """Which kind of label file it is, by its first whole line; None for any other file."""
    for row in read_rows(path, path.name):
        if row.values is not None:
            return form_of(row.values)
    return None


def read_labels(path: Path, *, src: Path | None) -> Iterator[TiedLabel | Problem]:
    """The labels of a file; `src` is the table whose rows the old ones name by their numbers.

    Raises InputError where it is no label file, or an old one without its table.
    """
    form = label_form(path)
    if form is None:
        raise InputError(
            f"{path.name} is no label file: its lines hold neither what this program writes "
            "(sample_id, completion_id, decision, …) nor the old six columns (index, action, …)."
        )
    if form == "lines":
        return _read_lines(path)
    if src is None:
        raise InputError(
            f"{path.name} holds labels of the old form: their row numbers mean nothing without the "
            "table that was looked at. Name it: --src filtered.parquet"
        )
    return _read_legacy(path, src)


def _read_lines(path: Path) -> Iterator[TiedLabel | Problem]:
    for row in read_rows(path, path.name):
        if row.values is None:
            yield Problem(row.line, "", row.problem, row.excerpt)
            continue
        try:
            label = read_label_line(row.values)
        except LabelLineError as error:
            yield Problem(row.line, error.field, str(error))
            continue
        yield TiedLabel(row.line, label.sample_key, label.completion_key, label.decisions)


def _read_legacy(path: Path, src: Path) -> Iterator[TiedLabel | Problem]:
    labels: list[tuple[int, LegacyLabel]] = []
    for row in read_rows(path, path.name):
        if row.values is None:
            yield Problem(row.line, "", row.problem, row.excerpt)
            continue
        try:
            labels.append((row.line, read_legacy_label(row.values)))
        except LabelLineError as error:
            yield Problem(row.line, error.field, str(error))
    rows = _rows_by_number(src, {label.index for _, label in labels})
    for line, label in labels:
        try:
            sample_key, key = _keys_of(label, rows.get(label.index), src)
        except LabelLineError as error:
            yield Problem(line, error.field, str(error))
            continue
        yield TiedLabel(line, sample_key, key, (label.decision,))


def _rows_by_number(src: Path, wanted: set[int]) -> dict[int, SampleDraft | Problem]:
    mapping = choose_mapping(src, src.name)
    rows = enumerate(read_rows(src, src.name))
    return {number: draft_row(row, mapping) for number, row in rows if number in wanted}


def _keys_of(label: LegacyLabel, row: SampleDraft | Problem | None, src: Path) -> tuple[str, str]:
    """The keys of sample and completion of a row that says what the label says."""
    number = label.index
    if row is None:
        raise LabelLineError("index", f"{src.name} has no row {number} (counted from 0).")
    if isinstance(row, Problem):
        raise LabelLineError("index", f"Row {number} of {src.name} cannot be used: {row.message}")
    answer = row.answer
    if answer is None or _plain(answer.text) != _plain(label.answer):
        raise LabelLineError(
            "teacher_output",
            f"Row {number} of {src.name} holds another answer. Is it another version of the table?",
        )
    if label.context and _plain(label.context) not in (_plain(row.text), _plain(row.instruction)):
        raise LabelLineError(
            "context",
            f"Row {number} of {src.name} holds another text. Is it another version of the table?",
        )
    key = completion_key(
        sample_key=row.key,
        draw=answer.draw,
        attempt=answer.attempt,
        teacher=answer.teacher,
        text=answer.text,
    )
    return row.key, key


def _plain(text: str) -> str:
    """Without line ends and double spaces: the old page showed some of them as one."""
    return " ".join(text.split())
