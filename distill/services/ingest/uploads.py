"""Files that came through the site: kept under a name of ours until they are imported."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings

from distill.logic.errors import InputError
from distill.services.files import atomic_path

KEPT_SECONDS = 24 * 3600


def save_upload(*, chunks: Iterable[bytes], name: str) -> str:
    """Keep a file; return the id to find it by. `name` is only for messages."""
    _discard_forgotten()
    upload = str(uuid.uuid4())
    try:
        with atomic_path(_path(upload)) as draft, draft.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
    except InputError as error:
        # The id means nothing to the person who sent the file.
        raise InputError(str(error).replace(upload, Path(name).name)) from error
    return upload


def upload_path(upload: str) -> Path:
    """Where an upload lies, or lay. Raises `InputError` where the id is none of ours."""
    try:
        return _path(str(uuid.UUID(upload)))
    except ValueError:
        raise InputError("There is no such upload. Send the file again.") from None


def discard_upload(*, upload: str) -> None:
    """Remove an upload; one that is gone already is fine."""
    _path(str(uuid.UUID(upload))).unlink(missing_ok=True)


def _discard_forgotten() -> None:
    """Remove what was sent and never imported; an import that goes on reads its file within a day."""
    oldest = time.time() - KEPT_SECONDS
    for path in _path("").glob("*"):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < oldest:
                path.unlink()


def _path(upload: str) -> Path:
    return Path(settings.DATA_DIR) / "uploads" / upload
