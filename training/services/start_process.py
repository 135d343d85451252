"""Start the program of a training or an evaluation, so that it ends with whoever shall own it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from training.launcher import launch
from training.logic.layout import ProcessLayout

_SECRET = re.compile(r"API_KEY|SECRET|PASSWORD|DATABASE_URL")
"""What a student's program needs none of. (A hub's token, HF_TOKEN, it may need.)"""


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that a program must not outlive; `house` is its folder of guests, if it waits."""

    pid: int
    house: Path | None = None


def worker_owner() -> Owner | None:
    """Who owns what a worker starts: the supervisor; none where the cluster was started by hand."""
    if settings.SUPERVISOR_PID is None:
        return None
    return Owner(settings.SUPERVISOR_PID, settings.STOP_FILE.parent)


def command_owner() -> Owner:
    """Who owns what a command starts: the command itself."""
    return Owner(os.getpid())


def start_process(*, layout: ProcessLayout, argv: Sequence[str], owner: Owner | None) -> None:
    """Start a program in the background; one that runs in this folder already goes on alone.

    Raises LaunchError where it cannot be started.
    """
    environment = {name: value for name, value in os.environ.items() if not _SECRET.search(name)}
    launch(
        layout,
        argv,
        environment=environment | {"PYTHONUNBUFFERED": "1"},
        owner_pid=owner.pid if owner else None,
        guest_of=owner.house if owner else None,
    )
