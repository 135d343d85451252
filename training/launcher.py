"""Starts, looks at and ends the process of a training or an evaluation; knows no Django.

Each process has a folder (`logic.layout.ProcessLayout`) and a shim (`runner.shim`) that keeps it.
Everything here may be called again: what runs is not started twice, what has ended stays so.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.logic.layout import ProcessLayout
from training.logic.process_stat import is_marked, parse_stat

_HOME = Path(__file__).resolve().parent.parent
_START_SECONDS = 60


class LaunchError(RuntimeError):
    """The process could not be started; the message says why."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How a program ended.

    `code` is negative for a signal. `why` says who wanted it: empty (nobody), `stop`, `owner_gone`,
    `owner_stopping`, `terminated`.
    """

    code: int
    why: str

    @property
    def was_interrupted(self) -> bool:
        """It ended because the site or the command around it did: it can go on as it is."""
        return self.why in ("owner_gone", "owner_stopping", "terminated")


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of a folder's process on this host; `exit` only of one that has ended."""

    is_alive: bool
    exit: Exit | None
    was_started: bool


def launch(
    layout: ProcessLayout,
    argv: Sequence[str],
    *,
    environment: Mapping[str, str],
    owner_pid: int | None,
    guest_of: Path | None = None,
) -> None:
    """Start a program under a shim of its own, in a session of its own.

    It ends with the process `owner_pid`, soon after that has gone; with None it goes on until it is
    done. `guest_of` is the owner's `run` folder where the owner waits for its guests (the
    supervisor). Returns when the shim keeps it. One that runs already goes on alone. Raises
    LaunchError.
    """
    layout.folder.mkdir(parents=True, exist_ok=True)
    options = []
    if owner_pid is not None:
        options += ["--owner", str(owner_pid)]
    if guest_of is not None:
        options += ["--guest-of", str(guest_of)]
    shim = [sys.executable, "-m", "training.runner.shim", *options, str(layout.folder), "--"]
    with layout.log.open("ab") as log:
        done = subprocess.run(
            [*shim, *argv],
            cwd=_HOME,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            timeout=_START_SECONDS,
            check=False,
        )
    if done.returncode:
        raise LaunchError(
            f"The process could not be started; the end of {layout.log.name} says why."
        )


def look(layout: ProcessLayout) -> Status:
    """What becomes of the folder's process, as far as this host can tell."""
    process = _read(layout.process)
    is_alive = process is not None and _lives(process["pid"], process["started"])
    note = None if is_alive else _read(layout.exit)
    ended = Exit(note["code"], note["why"]) if note else None
    return Status(is_alive=is_alive, exit=ended, was_started=process is not None)


def ask_to_stop(layout: ProcessLayout) -> None:
    """Ask for an orderly end, with a checkpoint; the shim sees to it that it comes."""
    layout.stop.touch()


def kill(layout: ProcessLayout) -> None:
    """Kill the shim's group, and every process that carries the folder's name.

    Afterwards nothing of it runs on this host, also no rank that a killed shim left behind.
    """
    process = _read(layout.process)
    if process is not None and _lives(process["pid"], process["started"]):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process["pid"], signal.SIGKILL)
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if is_marked(path.read_bytes(), layout.folder):
                os.kill(int(path.parent.name), signal.SIGKILL)


def _read(path: Path) -> dict[str, Any] | None:
    """A note of the shim; one that a power cut left empty is none."""
    try:
        words: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return words


def _lives(pid: int, started: int) -> bool:
    """Say whether this very process runs; where there is no /proc, whether its number does."""
    try:
        stat = parse_stat(Path(f"/proc/{pid}/stat").read_text())
    except OSError:
        return not Path("/proc/self").exists() and _answers(pid)
    return not stat.is_dead and stat.started == started


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
