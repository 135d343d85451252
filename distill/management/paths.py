"""The guide's tree of files, and how a path is shown."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

TREE = Path("processed") / "distillation"


def data_path(*parts: str) -> Path:
    """A path in the guide's tree below the data folder."""
    return Path(settings.DATA_DIR).joinpath(TREE, *parts)


def shown(path: Path) -> str:
    """A path as a person would type it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
