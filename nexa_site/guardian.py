"""Ends the supervisor's children when the supervisor itself is killed.

It reads a pipe whose other end the supervisor alone holds: `+ PID` for a child that was started,
each leading a process group of its own, `- PID` for one that has ended. When the pipe ends, so do
they: one SIGTERM to each main process (django-q2 hangs on a second one, and on one to its group),
then SIGKILL to the groups. The database goes after them, by its keeper.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable

GRACE_SECONDS = 4.0


def guard(lines: Iterable[str]) -> None:
    """Follow the supervisor's words until they end, then end what is left of its children."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    groups: set[int] = set()
    for line in lines:
        sign, number = line.split()
        (groups.add if sign == "+" else groups.discard)(int(number))
    for pid in groups:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < deadline and any(map(_lives, groups)):
        time.sleep(0.1)
    for pid in groups:
        kill_group(pid)


def kill_group(pid: int) -> None:
    """Send SIGKILL to all processes of the group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    guard(sys.stdin)
