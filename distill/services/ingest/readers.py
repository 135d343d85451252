"""The rows of a file of any kind, one after the other, in flat memory.

Parquet comes in batches, JSONL and CSV by lines. JSON has to be read whole, so it is limited to
`MAX_JSON_BYTES`; larger ones are to be converted to JSONL. A folder gives a row for each text file.
A row that cannot be read comes as `Row(line, None, problem)`; a file that cannot be read at all is
an `InputError`. What kind a file is, its name says: uploads lie under another one.
"""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import orjson

from distill.logic.columns import refuse_too_many
from distill.logic.errors import InputError
from distill.logic.storable import storable
from distill.services.files import plain_errors
from distill.services.ingest.json_rows import json_rows

MAX_JSON_BYTES = 256 * 1024 * 1024
MAX_LINE_BYTES = 16 * 1024 * 1024
_BATCH_BYTES = 16 * 1024 * 1024
_MAX_BATCH_ROWS = 1000
_EXCERPT_LENGTH = 200
TEXT_SUFFIXES = (".txt", ".md", ".markdown")

# The longest cell that can be looked at before it is refused; csv's own limit is 128 KB.
csv.field_size_limit(MAX_LINE_BYTES)


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its number in the file from 1, and its cells, or what is wrong with it.

    The number is a line or counts rows, as `counted_in` says; `excerpt` is of a row that is wrong.
    """

    line: int
    values: Mapping[str, object] | None
    problem: str = ""
    excerpt: str = ""


@dataclass(frozen=True, slots=True)
class FileKind:
    """One kind of file: the endings of its names and what reads it."""

    suffixes: tuple[str, ...]
    read: Callable[[Path, str], Iterator[Row]]
    by_lines: bool = False


def read_rows(path: Path, name: str) -> Iterator[Row]:
    """The rows of a file or folder, whose name as given is `name`."""
    shown = Path(name).name or "the file"
    with plain_errors(Path(shown)):
        if path.is_dir():
            yield from _read_folder(path, shown)
            return
        if not path.exists():
            raise InputError(f"{shown}: there is no such file.")
        if path.stat().st_size == 0:
            raise InputError(f"{shown} is empty: it has no bytes. Was it copied whole?")
        yield from _kind(path, shown).read(path, shown)


def counted_in(name: str) -> str:
    """What a row's number counts in a file of this name: a "line" or a "row".

    In JSONL and CSV it is the line on which the row begins: a CSV's row may go over several.
    """
    suffix = Path(name).suffix.lower()
    return "line" if any(kind.by_lines and suffix in kind.suffixes for kind in _KINDS) else "row"


def text_files(folder: Path) -> list[Path]:
    """The text files in a folder and its folders, in a fixed order; links are not followed."""
    return sorted(path for path in _files(folder) if _is_text_file(path))


def skipped_files(folder: Path) -> str:
    """Which files of a folder are not read, for people: "3 .pdf, 1 link"; "" where all are."""
    skipped = [path for path in _files(folder) if not _is_text_file(path)]
    kinds = Counter("link" if path.is_symlink() else _ending(path) for path in skipped)
    return ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())


def _files(folder: Path) -> Iterator[Path]:
    """All but the hidden ones."""
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in sorted(names) if not name.startswith("."))


def _is_text_file(path: Path) -> bool:
    return path.name.lower().endswith(TEXT_SUFFIXES) and not path.is_symlink()


def _ending(path: Path) -> str:
    return path.suffix.lower()[:20] or "without an ending"


def _kind(path: Path, name: str) -> FileKind:
    suffix = Path(name).suffix.lower()
    for kind in _KINDS:
        if suffix in kind.suffixes:
            return kind
    with path.open("rb") as file:
        if file.read(4) == b"PAR1":
            return _PARQUET
    known = ", ".join(suffix for kind in _KINDS for suffix in kind.suffixes)
    ending = f"files ending in {suffix}" if suffix else "a file without an ending"
    raise InputError(f"{name}: {ending} cannot be imported. Known are {known}, and folders.")


# --- Parquet ---


def _read_parquet(path: Path, name: str) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            columns = file.schema_arrow.names
            refuse_too_many(len(columns))
            twice = sorted({column for column in columns if columns.count(column) > 1})
            if twice:
                raise InputError(f"{name}: the column {twice[0]!r} is there twice. Rename one.")
            line = 0
            for batch in file.iter_batches(batch_size=_batch_rows(file.metadata)):
                for values in batch.to_pylist():
                    line += 1
                    yield Row(line, values)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        words = str(error).splitlines()[0][:200]
        raise InputError(
            f"{name} cannot be read as Parquet ({words}). Was it copied or downloaded whole?"
        ) from error


def _batch_rows(metadata: object) -> int:
    """So many rows that a batch stays small, however large the cells are."""
    num_rows = getattr(metadata, "num_rows", 0)
    num_groups = getattr(metadata, "num_row_groups", 0)
    groups = (metadata.row_group(number) for number in range(num_groups))  # type: ignore[attr-defined]
    num_bytes = sum(group.total_byte_size for group in groups)
    per_row = max(1, num_bytes // max(1, num_rows))
    return max(1, min(_MAX_BATCH_ROWS, int(_BATCH_BYTES // per_row)))


# --- JSON ---


def _read_jsonl(path: Path, name: str) -> Iterator[Row]:
    with path.open("rb") as file:
        _refuse_other_encodings(file, name)
        for line, content in enumerate(_lines(file), 1):
            if content is None:
                limit = MAX_LINE_BYTES // 1024 // 1024
                yield Row(line, None, f"The line is longer than {limit} MB.")
            elif content.strip():
                yield _json_row(line, content)


def _json_row(line: int, content: bytes) -> Row:
    try:
        values = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        return Row(line, None, _json_problem(content, error))
    if isinstance(values, str):
        return Row(line, {"text": values})
    if not isinstance(values, dict):
        return Row(line, None, f"The line holds a JSON {type(values).__name__}, not an object.")
    return Row(line, values)


def _json_problem(content: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        content.decode()
    except UnicodeDecodeError as fault:
        return f"The line is not UTF-8 (byte {fault.start + 1}). Save the file as UTF-8."
    return f"The line is not whole JSON: {error.msg}, at character {error.pos + 1}."


def _lines(file: IO[bytes]) -> Iterator[bytes | None]:
    """The lines without their ends; None for one that is too long to be held."""
    while content := file.readline(MAX_LINE_BYTES):
        if len(content) < MAX_LINE_BYTES or content.endswith(b"\n"):
            yield content
            continue
        while content and not content.endswith(b"\n"):
            content = file.readline(MAX_LINE_BYTES)
        yield None


def _read_json(path: Path, name: str) -> Iterator[Row]:
    size = path.stat().st_size
    if size > MAX_JSON_BYTES:
        raise InputError(
            f"{name} has {size / 1e6:,.0f} MB; JSON is read whole, up to "
            f"{MAX_JSON_BYTES // 1024 // 1024} MB. Convert it to JSONL, which has no limit: "
            "jq -c '.[]' in.json > out.jsonl"
        )
    with path.open("rb") as file:
        _refuse_other_encodings(file, name)
        content = file.read()
    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        problem = _json_problem(content, error).replace("The line", "It")
        row = f" in line {error.lineno}" if "JSON" in problem else ""
        raise InputError(
            f"{name} cannot be read{row}. {problem} If it has one object a line, name it .jsonl; "
            "else see that it was copied whole."
        ) from None
    del content
    for line, value in enumerate(json_rows(document, name), 1):
        if isinstance(value, dict):
            yield Row(line, value)
        else:
            yield Row(line, None, f"The entry is a JSON {type(value).__name__}, not an object.")


# --- CSV ---


def _read_csv(path: Path, name: str) -> Iterator[Row]:
    with path.open("rb") as raw:
        _refuse_other_encodings(raw, name)
        first = raw.readline(MAX_LINE_BYTES)
    delimiter = "\t" if name.lower().endswith(".tsv") else _delimiter(first)
    # Bytes that are not UTF-8 come as surrogates, so that only their own row is refused.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        header = _header(reader, name)
        yield from _csv_rows(reader, header)


def _csv_rows(reader: Iterator[list[str]], header: list[str]) -> Iterator[Row]:
    while True:
        line = getattr(reader, "line_num", 0) + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(line, None, f"The row is not whole CSV: {error}.")
            continue
        if not cells:
            continue
        if len(cells) != len(header):
            count = f"{len(cells)} cells, the header has {len(header)}"
            problem = f"The row has {count}. Is a quotation mark missing?"
            yield Row(line, None, problem, storable(", ".join(cells), limit=_EXCERPT_LENGTH))
        elif any(not cell.isascii() and _has_surrogates(cell) for cell in cells):
            yield Row(line, None, "The row is not UTF-8. Save the file as UTF-8.")
        else:
            yield Row(line, dict(zip(header, cells, strict=True)))


def _header(reader: Iterator[list[str]], name: str) -> list[str]:
    try:
        cells = next(reader, [])
        # Spreadsheets and data frames write columns without a name: an index, an empty last one.
        header = [cell.strip() or f"column_{number}" for number, cell in enumerate(cells, 1)]
    except csv.Error as error:
        raise InputError(
            f"{name}: its first line cannot be read as a CSV header: {error}."
        ) from None
    refuse_too_many(len(header))
    if not any(map(str.strip, cells)) or len(set(header)) < len(header):
        raise InputError(
            f"{name}: its first line must name the columns, each name once. It reads "
            f"{', '.join(cells)[:200]!r}."
        )
    if any(_has_surrogates(cell) for cell in header):
        raise InputError(f"{name} is not UTF-8. Save it as UTF-8 and import it again.")
    return header


def _delimiter(first: bytes) -> str:
    return max((",", ";", "\t"), key=lambda sign: first.count(sign.encode()))


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in text)


# --- texts ---


def _read_text(path: Path, name: str) -> Iterator[Row]:
    yield _text_row(1, path, name)


def _read_folder(folder: Path, name: str) -> Iterator[Row]:
    files = text_files(folder)
    if not files:
        others = skipped_files(folder)
        held = f" It holds {others}." if others else ""
        raise InputError(f"{name}: the folder holds no {', '.join(TEXT_SUFFIXES)} files.{held}")
    for line, path in enumerate(files, 1):
        yield _text_row(line, path, path.relative_to(folder).as_posix())


def _text_row(line: int, path: Path, name: str) -> Row:
    if path.stat().st_size > MAX_LINE_BYTES:
        return Row(line, None, f"{name} is longer than {MAX_LINE_BYTES // 1024 // 1024} MB.")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return Row(line, None, f"{name} is not UTF-8 (byte {error.start + 1}). Save it as UTF-8.")
    return Row(line, {"text": text, "title": _title(text, Path(name)), "path": name})


def _title(text: str, name: Path) -> str:
    first = text.lstrip().partition("\n")[0]
    is_heading = name.suffix.lower() != ".txt" and first.startswith("# ")
    return first[2:].strip() if is_heading else name.stem


# --- encodings ---


def _refuse_other_encodings(file: IO[bytes], name: str) -> None:
    """Leave the file behind its byte order mark; refuse UTF-16 and binary files."""
    begin = file.read(4096)
    start = begin[:100]
    if begin.startswith((b"\xff\xfe", b"\xfe\xff")) or start.count(0) * 4 > len(start):
        raise InputError(
            f"{name} is not UTF-8 but UTF-16 or binary. Convert it: "
            "iconv -f UTF-16 -t UTF-8 in > out"
        )
    if begin.startswith(b"PAR1"):
        raise InputError(f"{name} is a Parquet file. Give it a name that ends in .parquet.")
    file.seek(3 if begin.startswith(b"\xef\xbb\xbf") else 0)


_PARQUET = FileKind((".parquet", ".pq"), _read_parquet)
_KINDS = (
    _PARQUET,
    FileKind((".jsonl", ".ndjson"), _read_jsonl, by_lines=True),
    FileKind((".json",), _read_json),
    FileKind((".csv", ".tsv"), _read_csv, by_lines=True),
    FileKind(TEXT_SUFFIXES, _read_text),
)
