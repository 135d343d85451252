"""Import a file into a dataset, batch by batch.

Each batch is one transaction together with the file's counts, so what is counted is stored. Until
the last one the file is `importing`. A killed import leaves whole batches; importing the same file
again goes on: known rows are skipped, and the counts end as if nothing had happened. One import
works on a dataset at a time; a second one waits for the first (a lock of the session, which goes
with the process that holds it).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from django.db import OperationalError, connection, transaction
from django.utils import timezone
from psycopg.errors import DiskFull

from distill.logic.columns import Mapping
from distill.logic.errors import ConflictError, DistillError, InputError
from distill.logic.samples import SampleDraft
from distill.models import Dataset, RefusedRow, SourceFile
from distill.services.ingest import groups, store
from distill.services.ingest.fingerprints import file_sha256
from distill.services.ingest.preview import Problem, choose_mapping, draft_row
from distill.services.ingest.readers import Row, counted_in, read_rows

BATCH_ROWS = 1000
MAX_REFUSED_ROWS = 1000
"""So many refused rows of a file are kept with their reasons; the count is exact."""

# A batch of very long texts is cut earlier.
_BATCH_CHARACTERS = 8_000_000
_LOCK_ROOM = 0x6E65_7861

OnProgress = Callable[[SourceFile], None]
_Batch = list[tuple[int, SampleDraft | Problem]]


def import_file(
    *,
    dataset: Dataset,
    path: Path,
    name: str,
    mapping: Mapping | None = None,
    on_progress: OnProgress | None = None,
) -> SourceFile:
    """Import a file or folder; return its record with the counts of rows.

    `name` says what kind of file it is and is all that is ever shown of it. Without a mapping one
    is guessed. A file that was imported with the same mapping before adds nothing and is not read
    again: its record is returned as it is. `on_progress` is called after each batch.

    Raises `InputError` where the file cannot be read, no text column is found, or not one row can
    be used; single rows that cannot be used are refused and kept as `RefusedRow`.
    """
    source_file = open_source_file(dataset=dataset, path=path, name=name, mapping=mapping)
    return fill_source_file(source_file=source_file, path=path, on_progress=on_progress)


def open_source_file(
    *, dataset: Dataset, path: Path, name: str, mapping: Mapping | None = None
) -> SourceFile:
    """The record of a file that is to be imported: a new one, or that of the same file before."""
    shown = Path(name).name[-255:] or "file"
    mapping = choose_mapping(path, name, mapping)
    sha256, size = file_sha256(path, name)
    known = SourceFile.objects.filter(
        dataset=dataset, sha256=sha256, mapping=dict(mapping.paths)
    ).first()
    return known or SourceFile.objects.create(
        dataset=dataset, name=shown, sha256=sha256, size_bytes=size, mapping=dict(mapping.paths)
    )


def fill_source_file(
    *, source_file: SourceFile, path: Path, on_progress: OnProgress | None = None
) -> SourceFile:
    """Read the file into its dataset; one that is done already is left alone."""
    with import_lock(source_file.dataset_id, wait=True):
        source_file.refresh_from_db()
        if source_file.state == SourceFile.State.DONE:
            return source_file
        _begin(source_file)
        try:
            _read(source_file, path, on_progress)
        except BaseException as error:
            _fail(source_file, error)
            raise
    return source_file


def _read(source_file: SourceFile, path: Path, on_progress: OnProgress | None) -> None:
    mapping = Mapping(source_file.mapping)
    with _temporary_tables(source_file.dataset), _database_errors():
        for batch in _batches(read_rows(path, source_file.name), mapping):
            _store(source_file, batch)
            if on_progress:
                on_progress(source_file)
    _finish(source_file)


def _batches(rows: Iterator[Row], mapping: Mapping) -> Iterator[_Batch]:
    """The file in batches; the next one is read while the database stores the last."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="import") as reader:
        ahead = reader.submit(_take_batch, rows, mapping)
        while batch := ahead.result():
            ahead = reader.submit(_take_batch, rows, mapping)
            yield batch


def _take_batch(rows: Iterator[Row], mapping: Mapping) -> _Batch:
    batch = []
    characters = 0
    for row in islice(rows, BATCH_ROWS):
        drafted = draft_row(row, mapping)
        batch.append((row.line, drafted))
        if isinstance(drafted, SampleDraft):
            characters += len(drafted.text) + len(drafted.metadata)
        if characters > _BATCH_CHARACTERS:
            break
    return batch


def _store(source_file: SourceFile, batch: _Batch) -> None:
    drafts = [(line, draft) for line, draft in batch if isinstance(draft, SampleDraft)]
    problems = [problem for _, problem in batch if isinstance(problem, Problem)]
    with transaction.atomic():
        placed, misplaced = groups.place(drafts)
        problems += misplaced
        kept = store.store_batch(source_file=source_file, placed=placed)
        _keep_refused(source_file, problems)
        source_file.rows_read += len(batch)
        source_file.rows_kept += kept
        source_file.rows_refused += len(problems)
        source_file.rows_duplicate += len(placed) - kept
        _save(source_file, state=SourceFile.State.IMPORTING)


def _keep_refused(source_file: SourceFile, problems: Iterable[Problem]) -> None:
    room = max(0, MAX_REFUSED_ROWS - source_file.rows_refused)
    RefusedRow.objects.bulk_create(
        RefusedRow(
            source_file=source_file,
            line=problem.line,
            field=problem.field[:100],
            message=problem.message,
            excerpt=problem.excerpt[:200],
        )
        for problem in islice(problems, room)
    )


def _begin(source_file: SourceFile) -> None:
    """From the start: also where an earlier import of the same file was cut off or failed."""
    with transaction.atomic():
        source_file.refused_rows.all().delete()
        source_file.rows_read = source_file.rows_kept = 0
        source_file.rows_refused = source_file.rows_duplicate = 0
        source_file.message = ""
        _save(source_file, state=SourceFile.State.IMPORTING)


def _finish(source_file: SourceFile) -> None:
    if not source_file.rows_kept and not source_file.rows_duplicate:
        raise InputError(_nothing_useful(source_file))
    if not source_file.rows_kept:
        source_file.message = "Every row was in the dataset already; nothing was added."
    source_file.finished_at = timezone.now()
    _save(source_file, state=SourceFile.State.DONE)


def _nothing_useful(source_file: SourceFile) -> str:
    first = source_file.refused_rows.first()
    if first is None:
        return f"{source_file.name} holds no rows. Was it copied whole?"
    count = f"none of its {source_file.rows_read:,} rows can be used"
    where = f"{counted_in(source_file.name).title()} {first.line}"
    return f"{source_file.name}: {count}. {where}: {first.message}"


def _fail(source_file: SourceFile, error: BaseException) -> None:
    """Say why it ended; what was stored so far stays and is skipped when it is started again."""
    if isinstance(error, DistillError):
        source_file.message = str(error)
    elif isinstance(error, Exception):
        source_file.message = (
            "Stopped by an error of the program; see its log, then start it again."
        )
    else:
        source_file.message = "Interrupted. Import the same file again to go on."
    source_file.finished_at = timezone.now()
    if connection.is_usable():
        SourceFile.objects.filter(pk=source_file.pk).exclude(state=SourceFile.State.DONE).update(
            state=SourceFile.State.FAILED,
            message=source_file.message,
            finished_at=source_file.finished_at,
        )
        source_file.state = SourceFile.State.FAILED


def _save(source_file: SourceFile, *, state: SourceFile.State) -> None:
    """Write state and counts; the record is gone when its dataset was deleted meanwhile."""
    source_file.state = state
    num_updated = SourceFile.objects.filter(pk=source_file.pk).update(
        state=state,
        message=source_file.message,
        rows_read=source_file.rows_read,
        rows_kept=source_file.rows_kept,
        rows_refused=source_file.rows_refused,
        rows_duplicate=source_file.rows_duplicate,
        finished_at=source_file.finished_at,
        beat_at=timezone.now(),
    )
    if not num_updated:
        raise ConflictError(f"{source_file.name}: its dataset was deleted during the import.")


@contextmanager
def import_lock(dataset_id: int, *, wait: bool) -> Iterator[None]:
    """Be the only one who imports into the dataset, or deletes it.

    Raises `ConflictError` where another one is and `wait` is false.
    """
    key = [_LOCK_ROOM, dataset_id % 2**31]
    with connection.cursor() as cursor:
        if wait:
            cursor.execute("SELECT pg_advisory_lock(%s, %s)", key)
        else:
            cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", key)
            if cursor.fetchone() != (True,):
                raise ConflictError("A file is being imported into this dataset. Try again later.")
    try:
        yield
    finally:
        # A lost connection has let go of its locks already.
        if connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", key)


@contextmanager
def _temporary_tables(dataset: Dataset) -> Iterator[None]:
    store.make_tables()
    groups.make_table(dataset)
    try:
        yield
    finally:
        if connection.is_usable():
            store.drop_tables()
            groups.drop_table()


@contextmanager
def _database_errors() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        if isinstance(error.__cause__, DiskFull):
            raise InputError(
                "The database's disk is full. Free some space and import the file again: "
                "it goes on where it stopped."
            ) from error
        raise
