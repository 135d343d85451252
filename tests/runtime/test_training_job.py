"""A training under the whole project: `kill -9` of the supervisor, of the cluster; it goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest

from nexa_site.env import BASE_DIR
from tests.runtime.test_main_job import (
    Process,
    environment,
    start,
    started,
    survivors,
    wait_for_none_left,
    wait_until_up,
)
from tests.training.following import write_rows

__all__ = ["environment", "started"]  # fixtures

CONFIG = """
tiny: {layers: 1, hidden: 32, heads: 2, vocab: 300}
max_length: 128
max_steps: 900
batch_size: 2
save_every: 20
device: cpu
"""
LOOK = """
import json
from training.models import TrainingRun
run = TrainingRun.objects.get()
print(json.dumps({"state": run.state, "step": run.step, "result": run.result,
                  "num_metrics": run.metrics.filter(kind="train").count(),
                  "losses": list(run.metrics.filter(kind="train").values_list("values__loss", flat=True))}))
"""


def manage(environment: dict[str, str], *arguments: str) -> str:
    argv = [sys.executable, "manage.py", *arguments]
    return subprocess.run(
        argv, cwd=BASE_DIR, env=environment, capture_output=True, check=True, text=True
    ).stdout


def wait_for(environment: dict[str, str], seconds: float, **wanted: object) -> dict[str, object]:
    until = time.monotonic() + seconds
    while True:
        found: dict[str, object] = orjson.loads(
            manage(environment, "shell", "-v0", "-c", LOOK).splitlines()[-1]
        )
        if found["state"] == wanted["state"] and found["step"] >= wanted.get("step", 0):
            return found
        assert time.monotonic() < until, found
        time.sleep(1)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_training_ends_with_the_supervisor_and_goes_on_with_the_next(
    environment: dict[str, str], started: list[Process], tmp_path: Path
) -> None:
    (tmp_path / "c.yaml").write_text(CONFIG)
    rows = write_rows(tmp_path / "x.jsonl")
    process = start(started, environment, tmp_path / "log")
    wait_until_up(environment, process)
    manage(
        environment,
        *("train_student", "--dataset", str(rows), "--config", str(tmp_path / "c.yaml")),
        "--background",
    )
    before = wait_for(environment, 120, state="running", step=45)
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for_none_left(environment, 30)

    process = start(started, environment, tmp_path / "log")
    wait_until_up(environment, process)
    assert isinstance(before["step"], int)
    wait_for(environment, 120, state="running", step=before["step"] + 100)
    cluster = _cluster_of(environment)
    os.killpg(cluster, signal.SIGKILL)
    after = wait_for(environment, 240, state="done")
    assert after["num_metrics"] == 900
    assert after["result"]["restarts"] == 0
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=40) == 0
    wait_for_none_left(environment, 5)


def _cluster_of(environment: dict[str, str]) -> int:
    """The process group of the gpu cluster."""
    for pid in survivors(environment):
        environ = Path(f"/proc/{pid}/environ").read_bytes()
        if b"Q_CLUSTER_NAME=gpu" in environ and os.getpgid(pid) == pid:
            return pid
    raise AssertionError("no gpu cluster")
