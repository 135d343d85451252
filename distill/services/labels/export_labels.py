"""Write what people decided into the guide's tree.

    labels/accepted.jsonl  rejected.jsonl    the labels as they stand now, a line each
           2026-01-31.jsonl                  each decision of that day (UTC) that stands

Of one dataset alone in a folder of its name. All files get their names when all are whole; the same
decisions give the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import orjson
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_unicode_slug

from distill.logic.errors import InputError
from distill.logic.label_lines import form_of
from distill.models import Dataset, Label
from distill.queries.label_lines import LabelLines
from distill.services.files import atomic_path, plain_errors

FOLDER = Path("processed", "distillation", "labels")
_BY_DAY = re.compile(r"\d{4}-\d{2}-\d{2}\.jsonl")
_FILES = {
    "accepted.jsonl": Label.Outcome.ACCEPTED,
    "rejected.jsonl": Label.Outcome.REJECTED,
}


@dataclass(frozen=True, slots=True)
class LabelFile:
    """A file that was written, and how many lines it has."""

    path: Path
    num_lines: int


def labels_folder(dataset: Dataset | None = None) -> Path:
    """Where the guide looks for labels; those of one dataset lie in a folder of its name."""
    folder = Path(settings.DATA_DIR) / FOLDER
    if dataset is None:
        return folder
    try:
        validate_unicode_slug(dataset.name)
    except ValidationError:
        raise InputError(
            f"The dataset's name “{dataset.name}” cannot be a folder's: rename it, using letters, "
            "digits, hyphens and underscores only."
        ) from None
    return folder / dataset.name


def export_labels(*, dataset: Dataset | None = None, folder: Path | None = None) -> list[LabelFile]:
    """Write the labels of a dataset, or of all, and return the files.

    Files of days on which no decision stands any more are removed. Raises InputError where the
    folder holds label files that this program has not written: they are nobody's copy.
    """
    folder = folder or labels_folder(dataset)
    before = _own_files(folder)
    lines = LabelLines(dataset)
    with ExitStack() as drafts:
        written = [
            _write(drafts, folder / name, lines.with_outcome(outcome))
            for name, outcome in _FILES.items()
        ]
        for day, of_day in groupby(lines.by_day(), key=itemgetter(0)):
            dated = (line for _, line in of_day)
            written.append(_write(drafts, folder / f"{day.isoformat()}.jsonl", dated))
    for path in before - {file.path for file in written}:
        path.unlink(missing_ok=True)
    return written


def _write(drafts: ExitStack, path: Path, lines: Iterable[bytes]) -> LabelFile:
    num_lines = 0
    with drafts.enter_context(atomic_path(path)).open("wb") as file:
        for line in lines:
            file.write(line)
            num_lines += 1
    return LabelFile(path, num_lines)


def _own_files(folder: Path) -> set[Path]:
    """The label files that lie there already, all of which must be ours."""
    with plain_errors(folder):
        found = {path for path in _label_files(folder) if path.stat().st_size}
        for path in found:
            if not _is_own(path):
                raise InputError(
                    f"{path.name} in {folder.name} was not written by this program, and would be "
                    "overwritten or removed. Move it away first; its labels can be imported "
                    "(import_labels)."
                )
    return found


def _label_files(folder: Path) -> Iterator[Path]:
    for path in folder.glob("*.jsonl"):
        if path.name in _FILES or _BY_DAY.fullmatch(path.name):
            yield path


def _is_own(path: Path) -> bool:
    with path.open("rb") as file:
        first = file.readline()
    try:
        values = orjson.loads(first)
    except orjson.JSONDecodeError:
        return False
    return isinstance(values, dict) and form_of(values) == "lines"
