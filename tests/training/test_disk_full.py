"""A training whose disk runs full in the middle, on a real small file system."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.training.following import follow_fake, make_training
from training import launcher
from training.models import TrainingRun
from training.queries.folders import layout_of
from training.services import follow, prepare
from training.services.resume import resume_training

pytestmark = pytest.mark.django_db


@pytest.fixture
def small_disk(tmp_path: Path, settings: object) -> Iterator[Path]:
    """One megabyte for the data folder; only root may mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root, and a container that lets it")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_it_says_that_the_disk_is_full_and_resumes(
    small_disk, tmp_path, settings, monkeypatch
) -> None:
    settings.DATA_DIR = small_disk
    monkeypatch.setattr(follow, "STEP_SECONDS", 0.05)
    monkeypatch.setattr(prepare, "FREE_BYTES", 0)
    run = make_training(tmp_path)
    assert follow_fake(run, 40, 0.01, "fills") == TrainingRun.State.FAILED
    run.refresh_from_db()
    assert run.message.startswith("The disk is full: free some space, then resume")
    assert run.message.endswith("Resumed, it goes on from its checkpoint of step 10.")
    status = launcher.look(layout_of(run))
    assert status.exit == launcher.Exit(code=1, why="")
    (layout_of(run).folder / "filling").unlink()
    assert resume_training(training_run_id=run.pk)
    assert follow_fake(run, 40, 0.01) == TrainingRun.State.DONE
