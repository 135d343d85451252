"""A stand-in for the training program: same files, no torch, a step in a hundredth of a second.

    python fake_trainer.py FOLDER STEPS SECONDS_A_STEP [MODE]

MODE: `stubborn` (sees no stop file and no SIGTERM), `killed-at-N` (kills itself with signal 9 at step
N, the first time), `fails-WORDS` (prints the words and ends with code 1), `fills` (writes until the
disk is full).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

SAVE_EVERY = 5


def main(folder: Path, num_steps: int, seconds: float, mode: str) -> None:
    if mode == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with (folder / "starts.txt").open("a") as starts:
        starts.write(f"{os.getpid()}\n")
    if mode.startswith("fails-"):
        sys.stdout.write(mode.removeprefix("fails-") + "\n")
        sys.exit(1)
    step = newest_checkpoint(folder)
    write(folder, "begin", step=step, max_steps=num_steps, versions={"fake": "1"})
    while step < num_steps:
        step += 1
        time.sleep(seconds)
        write(folder, "train", step=step, max_steps=num_steps, loss=8 / step, tokens=100 * step)
        if mode == f"killed-at-{step}" and (folder / "starts.txt").read_text().count("\n") == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if mode == "fills":
            with (folder / "filling").open("ab") as file:
                file.write(b"x" * 100_000)
        is_stopped = mode != "stubborn" and (folder / "stop").exists()
        if step % SAVE_EVERY == 0 or is_stopped:
            (folder / "checkpoints" / f"checkpoint-{step}").mkdir(parents=True, exist_ok=True)
        if is_stopped:
            write(folder, "end", step=step, why="stopped", model=None)
            return
    write(folder, "validation", step=step, loss=0.5)
    (folder / "model").mkdir()
    (folder / "model" / "weights").write_bytes(b"w" * 1000)
    write(folder, "end", step=step, why="done", train_loss=1.0)


def newest_checkpoint(folder: Path) -> int:
    steps = [int(path.name[11:]) for path in (folder / "checkpoints").glob("checkpoint-*")]
    return max(steps, default=0)


def write(folder: Path, kind: str, **fields: object) -> None:
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"kind": kind, **fields, "at": datetime.now(UTC).isoformat()}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), (*sys.argv, "")[4])
