"""What commands say of the labels that they have read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from distill.management.columns import say_refused
from distill.management.progress import progress
from distill.models import Dataset
from distill.services.labels import ImportedLabels, import_labels

_SHOWN_REFUSED = 20


def take_in_labels(
    dataset: Dataset,
    path: Path,
    *,
    src: Path | None,
    say: Callable[[str], object],
    warn: Callable[[str], object],
) -> None:
    """Import a label file with progress; say what was recorded, and which lines were refused."""
    with progress(None, f"Reading {path.name}") as bar:
        imported = import_labels(
            dataset=dataset,
            path=path,
            src=src,
            on_progress=lambda now: bar.update(
                now.num_lines, recorded=now.num_recorded, refused=len(now.refused)
            ),
        )
    say(f"{dataset}: {_in_words(imported)}.")
    shown = sorted(imported.refused, key=lambda problem: problem.line)
    say_refused(path.name, shown[:_SHOWN_REFUSED], warn)
    if len(shown) > _SHOWN_REFUSED:
        warn(f"  and {len(shown) - _SHOWN_REFUSED:,} more.")


def _in_words(imported: ImportedLabels) -> str:
    return (
        f"{imported.num_recorded:,} decisions recorded, {imported.num_known:,} known already, "
        f"{imported.num_overruled:,} overruled by a later one, {len(imported.refused):,} refused"
    )
