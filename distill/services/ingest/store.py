"""One batch of drafts into the database: by COPY into a temporary table, then by one INSERT.

What the dataset holds already is skipped by the unique constraints on content hashes. A row that
stands there under its own file and line was stored by an import that was interrupted: it counts as
kept, so an import that is started again ends with the numbers of an undisturbed one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import orjson
from django.db import connection
from django.db.backends.utils import CursorWrapper

from distill.logic.completion_key import completion_key
from distill.logic.samples import SampleDraft
from distill.models import SourceFile


@dataclass(frozen=True, slots=True)
class PlacedDraft:
    """A draft, the line it came from, and the group and split that its source belongs to."""

    line: int
    draft: SampleDraft
    group_key: str
    split: str


_SAMPLE_COLUMNS = [
    "line",
    "key",
    "source_key",
    "group_key",
    "split",
    "domain",
    "template_name",
    "title",
    "instruction",
    "text",
    "metadata",
]
_ANSWER_COLUMNS = [
    "line",
    "sample_id",
    "key",
    "draw",
    "attempt",
    "teacher",
    "template_name",
    "text",
    "fields",
    "finish_reason",
    "prompt_tokens",
    "completion_tokens",
    "latency_ms",
]
_TYPES = dict.fromkeys(
    ("line", "sample_id", "draw", "attempt", "prompt_tokens", "completion_tokens", "latency_ms"),
    "int8",
)

_INSERT_SAMPLES = """
    INSERT INTO distill_sample (
        dataset_id, source_file_id, line, key, source_key, group_key, split, domain,
        template_name, title, instruction, text, metadata
    )
    SELECT %(dataset)s, %(source_file)s, line, key, source_key, group_key, split, domain,
        template_name, title, instruction, text, metadata::jsonb
    FROM import_sample ORDER BY line
    ON CONFLICT (dataset_id, key) DO NOTHING
"""
_FIND_SAMPLES = """
    SELECT drafts.line, samples.id,
        samples.source_file_id = %(source_file)s AND samples.line = drafts.line
    FROM import_sample drafts
    JOIN distill_sample samples ON samples.dataset_id = %(dataset)s AND samples.key = drafts.key
"""
_INSERT_COMPLETIONS = """
    WITH added AS (
        INSERT INTO distill_completion (
            sample_id, key, draw, attempt, origin, teacher, model, template_name, text, reasoning,
            fields, finish_reason, prompt_tokens, completion_tokens, latency_ms, created_at
        )
        SELECT sample_id, key, draw, attempt, 'imported', teacher, teacher, template_name, text,
            '', fields::jsonb, finish_reason, prompt_tokens, completion_tokens, latency_ms, now()
        FROM import_answer ORDER BY line
        ON CONFLICT (sample_id, key) DO NOTHING
        RETURNING id, sample_id, key
    ), states AS (
        INSERT INTO distill_completionstate (
            completion_id, dataset_id, state, is_open, reasons, flags
        )
        SELECT id, %(dataset)s, 'new', true, '{}', '{}' FROM added
    )
    SELECT answers.line FROM added
    JOIN import_answer answers ON answers.sample_id = added.sample_id AND answers.key = added.key
"""
# Of one teacher's answers for a sample × draw, the latest is the open one.
_CLOSE_EARLIER = """
    UPDATE distill_completionstate states SET is_open = false
    FROM distill_completion earlier
    WHERE states.completion_id = earlier.id AND states.is_open
        AND earlier.sample_id IN (SELECT sample_id FROM import_answer)
        AND EXISTS (
            SELECT FROM distill_completion later
            WHERE later.sample_id = earlier.sample_id AND later.draw = earlier.draw
                AND later.teacher = earlier.teacher
                AND (later.attempt, later.id) > (earlier.attempt, earlier.id)
        )
"""


def make_tables() -> None:
    """Make this connection's temporary tables, which hold one batch each."""
    with connection.cursor() as cursor:
        drop_tables()
        _make_table(cursor, "import_sample", _SAMPLE_COLUMNS)
        _make_table(cursor, "import_answer", _ANSWER_COLUMNS)


def drop_tables() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.import_sample, pg_temp.import_answer")


def store_batch(*, source_file: SourceFile, placed: Sequence[PlacedDraft]) -> int:
    """Store drafts and their answers; return how many of the rows added something."""
    names = {"dataset": source_file.dataset_id, "source_file": source_file.pk}
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE import_sample, import_answer")
        _copy(cursor, "import_sample", _SAMPLE_COLUMNS, map(_sample_cells, placed))
        cursor.execute(_INSERT_SAMPLES, names)
        cursor.execute(_FIND_SAMPLES, names)
        found = cursor.fetchall()
        added = {line for line, _, is_own in found if is_own}
        if any(row.draft.answer for row in placed):
            sample_ids = {line: sample_id for line, sample_id, _ in found}
            added |= _store_answers(cursor, placed, sample_ids, names)
    return len(added)


def _store_answers(
    cursor: CursorWrapper,
    placed: Iterable[PlacedDraft],
    sample_ids: dict[int, int],
    names: dict[str, int],
) -> set[int]:
    seen: dict[tuple[int, str], tuple[object, ...]] = {}
    for row in placed:
        if row.draft.answer:
            cells = _answer_cells(row, sample_ids[row.line])
            seen.setdefault((sample_ids[row.line], str(cells[2])), cells)
    _copy(cursor, "import_answer", _ANSWER_COLUMNS, seen.values())
    cursor.execute(_INSERT_COMPLETIONS, names)
    lines = {line for (line,) in cursor.fetchall()}
    cursor.execute(_CLOSE_EARLIER)
    return lines


def _make_table(cursor: CursorWrapper, name: str, columns: Iterable[str]) -> None:
    typed = ", ".join(f"{column} {_TYPES.get(column, 'text')}" for column in columns)
    cursor.execute(f"CREATE TEMPORARY TABLE {name} ({typed})")


def _copy(
    cursor: CursorWrapper, table: str, columns: Sequence[str], rows: Iterable[tuple[object, ...]]
) -> None:
    with cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types([_TYPES.get(column, "text") for column in columns])
        for row in rows:
            copy.write_row(row)


def _sample_cells(row: PlacedDraft) -> tuple[object, ...]:
    draft = row.draft
    return (
        row.line,
        draft.key,
        draft.source_key,
        row.group_key,
        row.split,
        draft.domain,
        draft.template_name,
        draft.title,
        draft.instruction,
        draft.text,
        draft.metadata,
    )


def _answer_cells(row: PlacedDraft, sample_id: int) -> tuple[object, ...]:
    answer = row.draft.answer
    assert answer is not None  # noqa: S101 - for the type checker; the caller looked
    key = completion_key(
        sample_key=row.draft.key,
        draw=answer.draw,
        attempt=answer.attempt,
        teacher=answer.teacher,
        text=answer.text,
    )
    return (
        row.line,
        sample_id,
        key,
        answer.draw,
        answer.attempt,
        answer.teacher,
        answer.template_name,
        answer.text,
        orjson.dumps(answer.fields).decode(),
        answer.finish_reason,
        answer.prompt_tokens,
        answer.completion_tokens,
        answer.latency_ms,
    )
