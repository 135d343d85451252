"""Which checkpoint a training goes on from: the newest that is whole.

Trainer writes a checkpoint in place, its state last, and would take the highest number without a
look. A kill in the middle of a save, or a full disk, leaves one that is not whole.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

from safetensors import SafetensorError, safe_open

_ARCHIVES = ("optimizer.pt", "scheduler.pt")


def choose_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint of the folder; broken ones that are newer are removed."""
    numbered = [path for path in folder.glob("checkpoint-*") if path.name[11:].isdigit()]
    for path in sorted(numbered, key=lambda path: int(path.name[11:]), reverse=True):
        if is_whole(path):
            return path
        print(f"{path.name} is not whole (killed while it was saved?): removed", flush=True)
        shutil.rmtree(path)
    return None


def is_whole(checkpoint: Path) -> bool:
    """Say whether state, weights, optimiser and schedule are there and can be read."""
    try:
        json.loads((checkpoint / "trainer_state.json").read_bytes())
        weights = _weights(checkpoint)
    except (OSError, ValueError):
        return False
    # An archive of torch is a ZIP file, whose directory stands at its end.
    archives = all(zipfile.is_zipfile(checkpoint / name) for name in _ARCHIVES)
    return archives and all(_opens(path) for path in weights)


def _weights(checkpoint: Path) -> list[Path]:
    index = checkpoint / "model.safetensors.index.json"
    if not index.exists():
        return [checkpoint / "model.safetensors"]
    names = set(json.loads(index.read_bytes())["weight_map"].values())
    return [checkpoint / name for name in names]


def _opens(weights: Path) -> bool:
    try:
        with safe_open(weights, framework="numpy"):  # compares the size with the header's
            return True
    except (OSError, SafetensorError):
        return False
