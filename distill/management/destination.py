"""Where a command writes its table: told by --dst, looked at before anything is asked or bought."""

from __future__ import annotations

import errno
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from django.core.management.base import CommandParser

from distill.management.paths import shown
from distill.services.files import file_error, plain_errors


def add_destination(
    parser: CommandParser, meaning: str, *, default: Path, by_dataset: str = "nowhere"
) -> None:
    """Add --dst; in file form it has a default, with --dataset the command writes `by_dataset`."""
    parser.add_argument(
        "--dst",
        type=Path,
        metavar="FILE",
        help=f"{meaning} (default: {shown(default)}; with --dataset {by_dataset})",
    )
    parser.set_defaults(default_dst=default)


def destination(options: dict[str, Any]) -> Path | None:
    """Where the command writes: --dst, in file form the guide's path, else nowhere.

    Raises InputError where nothing can be written there.
    """
    dst: Path | None = options["dst"] or (None if options["dataset"] else options["default_dst"])
    if dst:
        check_writable(dst)
    return dst


def check_writable(path: Path) -> None:
    """Refuse a path at which no file can be made; nothing is left there, also no folder."""
    with plain_errors(path):
        if path.is_dir():
            raise file_error(path, IsADirectoryError(errno.EISDIR, ""))
        path.exists()  # a name that is too long
        folder = path.parent
        while not folder.exists():
            folder = folder.parent
        with TemporaryFile(dir=folder):
            pass
