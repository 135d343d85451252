"""A completion as one flat row of a file: for downloads of whatever was filtered."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator

import orjson

from distill.models import CompletionState, Label

COLUMNS = (
    *("completion_id", "sample_id", "source_id", "dataset", "split", "domain", "title"),
    *("template_name", "draw", "attempt", "parent_id", "teacher", "model", "state"),
    *("mean_score", "reasons", "label", "label_reasons", "finish_reason", "prompt_tokens"),
    *("completion_tokens", "latency_ms", "instruction", "context", "fields", "teacher_output"),
)
# A spreadsheet runs a cell that begins with one of these.
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


def as_jsonl(states: Iterable[CompletionState]) -> Iterator[bytes]:
    """Each completion as one line of JSON."""
    for state in states:
        yield orjson.dumps(_row(state), option=orjson.OPT_APPEND_NEWLINE)


def as_csv(states: Iterable[CompletionState]) -> Iterator[bytes]:
    """A header and each completion as one line; lists and objects as JSON.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    yield _csv_line(COLUMNS)
    for state in states:
        yield _csv_line(_cell(value) for value in _row(state).values())


def _row(state: CompletionState) -> dict[str, object]:
    completion, sample = state.completion, state.completion.sample
    label: Label | None = getattr(completion, "label", None)
    values = (
        *(completion.key, sample.key, sample.source_key, sample.dataset.name, sample.split),
        *(sample.domain, sample.title, completion.template_name, completion.draw),
        *(completion.attempt, completion.parent.key if completion.parent else None),
        *(completion.teacher, completion.model, state.state, state.mean_score, state.reasons),
        *(label.outcome if label else None, label.decision.reasons if label else []),
        *(completion.finish_reason, completion.prompt_tokens, completion.completion_tokens),
        *(completion.latency_ms, sample.instruction, sample.text, completion.fields),
        completion.text,
    )
    return dict(zip(COLUMNS, values, strict=True))


def _cell(value: object) -> object:
    if isinstance(value, list | dict):
        return orjson.dumps(value).decode()
    if isinstance(value, str) and value.startswith(_FORMULA_SIGNS):
        return f"'{value}"
    return value


def _csv_line(cells: Iterable[object]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().encode()
