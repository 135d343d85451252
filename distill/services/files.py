"""Files that stand under their final name only when they are whole.

    with atomic_path(dst) as draft:      # a sibling of dst, with its ending
        write(draft)                     # any error: the draft goes, dst is as it was

A full disk, a folder that is a file, a missing permission come out as an `InputError` that says so.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distill.logic.errors import InputError

_ADVICE = {
    errno.ENOSPC: "the disk is full; free some space and start again",
    errno.EDQUOT: "your disk quota is used up; free some space and start again",
    errno.EACCES: "permission is missing; choose another path or change its permissions",
    errno.EPERM: "permission is missing; choose another path or change its permissions",
    errno.EROFS: "the file system is read-only; choose another path",
    errno.ENOENT: "it does not exist; check the path",
    errno.EISDIR: "it is a folder, and a file is needed here",
    errno.ENOTDIR: "a part of its path is a file, not a folder",
    errno.ENAMETOOLONG: "its name is too long",
}


@contextmanager
def atomic_path(dst: Path) -> Iterator[Path]:
    """Give the path of a draft beside `dst`; when the block succeeds, flush it and rename it.

    Missing folders of `dst` are made.
    """
    draft = dst.with_name(f".{secrets.token_hex(6)}{dst.suffix}")
    with plain_errors(dst):
        dst.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield draft
            _flush(draft)
            draft.replace(dst)
        finally:
            draft.unlink(missing_ok=True)
        _flush(dst.parent)


@contextmanager
def plain_errors(path: Path) -> Iterator[None]:
    """Turn an operating system's error in the block into an `InputError` about the named file."""
    try:
        yield
    except OSError as error:
        raise file_error(path, error) from error


def file_error(path: Path, error: OSError) -> InputError:
    """Say what is wrong with a file and what to do; only its name is shown, never its folder."""
    advice = _ADVICE.get(error.errno or 0, f"the system says: {error.strerror or error}")
    return InputError(f"{path.name}: {advice}.")


def _flush(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
