"""What is missing on a fresh machine ends with one line that says how to mend it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from nexa_site.env import BASE_DIR


def _make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(BASE_DIR / name, folder)
    return subprocess.run(
        ["make", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def test_make_alone_lists_the_targets(tmp_path) -> None:
    done = _make(tmp_path)
    assert done.returncode == 0
    assert "make up " in done.stdout
    assert "make soak " in done.stdout


@pytest.mark.parametrize(
    ("python", "missing"),
    [
        ("exit 1", "Python 3.11 or newer is missing"),
        ('case "$2" in *ensurepip*) exit 1;; esac', "Python's venv module is missing"),
    ],
    ids=["python", "venv"],
)
def test_what_is_missing_is_named_with_its_cure(tmp_path, python, missing) -> None:
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{python}\n")
    program.chmod(0o755)
    done = _make(tmp_path, "up", f"PYTHON={program}")
    first_line = done.stderr.splitlines()[0]
    assert done.returncode != 0
    assert missing in first_line
    assert "install" in first_line
    assert not (tmp_path / ".venv").exists()
