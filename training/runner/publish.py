"""Folders and files that stand under their final name only when they are whole."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def whole_folder(final: Path) -> Iterator[Path]:
    """Give an empty draft beside `final`; flushed and renamed when the block ends well."""
    draft = draft_of(final)
    draft.mkdir()
    yield draft
    publish(draft, final)


def draft_of(final: Path) -> Path:
    """The name under which a folder is written; what a killed process left there is removed."""
    draft = final.with_name(f".draft-{final.name}")
    shutil.rmtree(draft, ignore_errors=True)
    return draft


def publish(draft: Path, final: Path) -> None:
    """Flush every file of the draft to disk, then give it its final name."""
    for path in [*draft.rglob("*"), draft]:
        _flush(path)
    draft.rename(final)
    _flush(final.parent)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a small JSON file whole or not at all."""
    draft = path.with_name(f".draft-{path.name}")
    draft.write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")
    draft.rename(path)


def _flush(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
