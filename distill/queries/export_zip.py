"""All files of an export as one zip, made while it is sent: flat memory, nothing on disk.

The same files give the same bytes: no time of day goes in.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from distill.queries.exports import ExportView, named_file

_CHUNK = 1 << 18
_MANIFEST = "manifest.json"


def zip_name(view: ExportView) -> str:
    """The zip's name without its ending, which is also the folder inside."""
    return f"{view.export.dataset.name}-v{view.export.version}"


def zip_files(view: ExportView) -> list[tuple[str, Path]]:
    """Names inside the zip, and where each file lies; empty where one is gone."""
    names = [*(file["name"] for file in view.files), _MANIFEST]
    found = [(f"{zip_name(view)}/{name}", named_file(view, name)) for name in names]
    kept = [(name, path) for name, path in found if path]
    return kept if len(kept) == len(found) else []


def stream_zip(files: Sequence[tuple[str, Path]]) -> Iterator[bytes]:
    """Yield the zip piece by piece, each of about a quarter of a megabyte at most."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, path in files:
            with path.open("rb") as file, archive.open(_entry(name, path), "w") as member:
                while piece := file.read(_CHUNK):
                    member.write(piece)
                    yield sink.take()
    yield sink.take()


def _entry(name: str, path: Path) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    is_packed = path.suffix == ".parquet"
    entry.compress_type = zipfile.ZIP_STORED if is_packed else zipfile.ZIP_DEFLATED
    # Told before the bytes come, so that a file of more than 2 GiB gets the larger format.
    entry.file_size = path.stat().st_size
    entry.external_attr = 0o644 << 16
    return entry


class _Sink(io.RawIOBase):
    """What zipfile writes into: it cannot go back, and is emptied as it fills."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken
