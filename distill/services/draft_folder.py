"""Folders that stand under their final name only when they are whole.

with draft_folder(home) as draft:            # a hidden sibling; gone when the block ends
    write_into(draft)
    publish_folder(draft, home / "v1")       # flushed to disk, then renamed
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distill.services.files import plain_errors

_PREFIX = ".draft-"
_OLD_SECONDS = 24 * 3600


@contextmanager
def draft_folder(home: Path) -> Iterator[Path]:
    """Give an empty folder in `home`. A full disk or a missing right comes out as InputError."""
    draft = home / f"{_PREFIX}{secrets.token_hex(6)}"
    with plain_errors(Path(f"the export of {home.name}")):
        home.mkdir(parents=True, exist_ok=True)
        _sweep(home)
        draft.mkdir()
        try:
            yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def publish_folder(draft: Path, folder: Path) -> None:
    """Flush every file of the draft, then give it its final name."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for path in [*draft.rglob("*"), draft]:
        _flush(path)
    draft.rename(folder)
    _flush(folder.parent)


def publish_file(draft: Path, path: Path) -> None:
    """Flush one file of the draft, then let it take the place of what stands under that name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _flush(draft)
    draft.replace(path)
    _flush(path.parent)


def _sweep(home: Path) -> None:
    """Remove what a killed process left behind; nobody writes on one draft for a day."""
    for left in home.glob(f"{_PREFIX}*"):
        if time.time() - left.stat().st_mtime > _OLD_SECONDS:
            shutil.rmtree(left, ignore_errors=True)


def _flush(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
