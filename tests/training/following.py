"""What tests of trainings share: runs over a few rows, followed with a stand-in for the program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlencode

from django.db import connection

from distill.logic.sft import sft_bytes
from nexa_site.env import BASE_DIR
from training.launcher import look
from training.logic.layout import TrainingLayout
from training.logic.process_stat import parse_stat
from training.logic.spec import TrainSpec
from training.models import TrainingRun
from training.queries.folders import layout_of
from training.services import follow
from training.services.start import start_training

FAKE = Path(__file__).with_name("fake_trainer.py")
WORKER = """
import json, os, sys, django
django.setup()
from tests.training.following import fake_argv
from training.services import follow
print(follow._follow(int(sys.argv[1]), argv=fake_argv(*json.loads(sys.argv[2])), seconds=600))
"""


def write_rows(path: Path, *splits: str, **fields: object) -> Path:
    """A file of to_sft with a row for each split named, each of a source of its own."""
    with path.open("wb") as file:
        for number, split in enumerate(splits or ("train", "train", "validation", "test")):
            row = {
                "messages": [
                    {"role": "user", "content": f"Passage {number}: soils that dry nitrify less."},
                    {"role": "assistant", "content": f"Hypothesis {number}: it halves below 12 %."},
                ],
                "source_id": f"document-{number}",
                "split": split,
                **fields,
            }
            file.write(sft_bytes(row))
    return path


def make_training(folder: Path, **spec: object) -> TrainingRun:
    """A queued training on a file of a few rows."""
    path = write_rows(folder / "x.jsonl")
    return start_training(spec=TrainSpec.model_validate({"device": "cpu", **spec}), file=path)


def fake_argv(steps: int = 8, seconds: float = 0.01, mode: str = "") -> follow.Argv:
    """The stand-in for the program; see its own text."""

    def argv(_spec: TrainSpec, layout: TrainingLayout) -> Sequence[str]:
        return [sys.executable, str(FAKE), str(layout.folder), str(steps), str(seconds), mode]

    return argv


def follow_fake(run: TrainingRun, *fake: object, seconds: float = 60, **options: object) -> str:
    """Follow the training with the stand-in; return what it is told."""
    return follow._follow(run.pk, argv=fake_argv(*fake), seconds=seconds, **options)  # type: ignore[arg-type]


def follow_to(run: TrainingRun, step: int, *fake: object) -> None:
    """Follow until so many steps are read, then end as a worker does that shall stop."""
    reached = TrainingRun.objects.filter(pk=run.pk, step__gte=step).exists
    assert follow_fake(run, *fake, is_stopping=reached) == TrainingRun.State.RUNNING


def start_worker(run: TrainingRun, data_dir: Path, *fake: object) -> Worker:
    """A process of its own that follows the training, over the test's database."""
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(run.pk), json.dumps(fake)],
        cwd=BASE_DIR,
        env=environment(data_dir),
        stdout=subprocess.PIPE,
        text=True,
    )


Worker = subprocess.Popen[str]


def environment(data_dir: Path) -> dict[str, str]:
    """What a process of its own needs to work over the test's database."""
    parts = connection.get_connection_params()
    where = {key: str(parts[key]) for key in ("host", "port", "user", "password") if parts.get(key)}
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith("PYTEST")},
        "DJANGO_SETTINGS_MODULE": "nexa_site.settings",
        "DATABASE_URL": f"postgresql:///{parts['dbname']}?{urlencode(where)}",
        "NEXA_DATA_DIR": str(data_dir),
    }


def wait_for(condition: Callable[[], object], seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


def wait_for_step(run: TrainingRun, step: int, seconds: float = 30) -> None:
    """Until the follower has read so many steps."""
    found = TrainingRun.objects.filter(pk=run.pk, step__gte=step)
    wait_for(found.exists, seconds)


def lives(pid: int) -> bool:
    """Say whether a process runs; a zombie does not."""
    try:
        return not parse_stat(Path(f"/proc/{pid}/stat").read_text()).is_dead
    except OSError:
        return False


def is_alive(run: TrainingRun) -> bool:
    return look(layout_of(run)).is_alive


def starts_of(run: TrainingRun) -> list[int]:
    """The pids of the programs that were started for the training."""
    return [int(pid) for pid in (layout_of(run).folder / "starts.txt").read_text().split()]
