"""What tells one file's content from another's."""

from __future__ import annotations

import hashlib
from pathlib import Path

from distill.logic.errors import InputError
from distill.services.files import plain_errors
from distill.services.ingest.readers import text_files


def file_sha256(path: Path, name: str) -> tuple[str, int]:
    """The sha256 of a file's bytes, and how many there are; of a folder, of its text files'."""
    with plain_errors(Path(Path(name).name)):
        if path.is_dir():
            return _folder_sha256(path)
        if not path.is_file():
            raise InputError(f"{Path(name).name}: there is no such file. Check the path.")
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size


def _folder_sha256(folder: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    for path in text_files(folder):
        with path.open("rb") as file:
            inner = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.relative_to(folder).as_posix()}\0{inner}\0".encode())
        size += path.stat().st_size
    return digest.hexdigest(), size
