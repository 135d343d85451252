"""What tests of the runner's programs share: small rows, specs, and real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from training.logic.layout import ProcessLayout, TrainingLayout
from training.logic.spec import TinyConfig, TrainSpec

TINY = TinyConfig(layers=1, hidden=32, heads=2, vocab=400)


def make_rows(count: int, *, split: str) -> list[dict[str, Any]]:
    """Short conversations about made-up measurements, no two alike."""
    return [
        {
            "messages": [
                {"role": "system", "content": "You write hypotheses."},
                {"role": "user", "content": f"Soil {split} {i} was held at {i * 7 % 40} °C."},
                {"role": "assistant", "content": f"If soil {i} warms,\nnitrate rises {i % 9} %."},
            ],
            "sample_id": f"{split}-{i}",
            "teacher": "offline:extractive",
        }
        for i in range(count)
    ]


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")


def make_folder(folder: Path, **fields: Any) -> TrainingLayout:
    """A training run's folder with 12 rows, 3 of validation, and a spec."""
    folder.mkdir(parents=True)
    layout = TrainingLayout(folder)
    write_jsonl(layout.rows("train"), make_rows(12, split="train"))
    write_jsonl(layout.rows("validation"), make_rows(3, split="validation"))
    defaults: dict[str, Any] = {
        "tiny": TINY,
        "max_length": 200,
        "max_steps": 60,
        "save_every": 5,
        "validate_every": 30,
        "device": "cpu",
    }
    layout.spec.write_text(TrainSpec(**{**defaults, **fields}).model_dump_json())
    return layout


def start(
    program: str, layout: ProcessLayout, *, launcher: tuple[str, ...] = (), limit: str = ""
) -> subprocess.Popen[bytes]:
    """Start a program of the runner; what it prints goes to the folder's log.

    `launcher` are modules and options between python and the program, `limit` is of `ulimit`.
    """
    argv = [sys.executable, *launcher, "-m", f"training.runner.{program}", str(layout.folder)]
    if limit:
        argv = ["bash", "-c", f'ulimit {limit}; exec "$0" "$@"', *argv]
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with layout.log.open("ab") as log:
        return subprocess.Popen(argv, stdout=log, stderr=log, env=env)


def run(program: str, layout: ProcessLayout, **options: Any) -> int:
    """Run a program of the runner to its end, and give its exit code."""
    return start(program, layout, **options).wait(timeout=110)


def read_events(layout: ProcessLayout, kind: str) -> list[dict[str, Any]]:
    """The events of a kind, oldest first; a half last line is left out."""
    if not layout.metrics.exists():
        return []
    whole = layout.metrics.read_bytes().rpartition(b"\n")[0]
    return [event for line in whole.splitlines() if (event := json.loads(line))["kind"] == kind]


def wait_for_step(process: subprocess.Popen[bytes], layout: ProcessLayout, step: int) -> None:
    """Wait until a step is logged; fail with the log where the process ends before."""
    while not any(event["step"] >= step for event in read_events(layout, "train")):
        assert process.poll() is None, layout.log.read_text()
        time.sleep(0.01)


def losses(layout: ProcessLayout) -> dict[int, float]:
    """The loss of each step; of a step done twice, the later one."""
    return {event["step"]: event["loss"] for event in read_events(layout, "train")}
