"""Start the offline teacher as a process of its own, and make sure that it ends with us."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distill.logic.errors import InputError

DEFAULT_PORT = 8010
SERVICE = "nexa-offline-teacher"

_ROOT = Path(__file__).resolve().parents[3]
_PROBE_SECONDS = 2.0
_STOP_SECONDS = 3.0


@contextmanager
def offline_teacher(
    port: int | None = None, *, faults: str = "none", latency: str = "0"
) -> Iterator[str]:
    """Yield the base URL (with its /v1) of an offline teacher, for as long as the block runs.

    One that already answers on `port` (default: OFFLINE_TEACHER_PORT, else ten above PORT) is used as it is, but
    only where neither `faults` nor `latency` is asked for; `port=0` always starts a new one.
    A started one is a process of its own, which ends with the block, or with this process even
    where it is killed. Raises InputError where it cannot be started.
    """
    wanted = _configured_port() if port is None else port
    is_plain = faults == "none" and latency == "0"
    if wanted and is_plain and is_running(wanted):
        yield base_url(wanted)
        return
    process, bound_port = _start(faults, latency)
    try:
        yield base_url(bound_port)
    finally:
        _stop(process)


def base_url(port: int) -> str:
    """Where an offline teacher on `port` answers."""
    return f"http://127.0.0.1:{port}/v1"


def is_running(port: int) -> bool:
    """Whether an offline teacher of this project answers on `port`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PROBE_SECONDS)
    try:
        connection.request("GET", "/healthz")
        return bool(json.loads(connection.getresponse().read())["service"] == SERVICE)
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError):
        return False
    finally:
        connection.close()


def _configured_port() -> int:
    typed = os.environ.get("OFFLINE_TEACHER_PORT", "").strip()
    if typed and not typed.isdigit():
        raise InputError(f"OFFLINE_TEACHER_PORT must be a number, not {typed!r}")
    if typed:
        return int(typed)
    site = os.environ.get("PORT", "").strip()
    return int(site) + 10 if site.isdigit() else DEFAULT_PORT


def _start(faults: str, latency: str) -> tuple[subprocess.Popen[str], int]:
    """Start on a free port; the child says which on its first line."""
    command = [sys.executable, "-m", "distill.teachers.offline", "--port", "0", "--end-with-stdin"]
    process = subprocess.Popen(
        [*command, "--misbehave", faults, "--latency", latency],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=_ROOT,
        # A Ctrl-C in the terminal is for us: the teacher must outlive our drain.
        start_new_session=True,
    )
    line = process.stdout.readline().strip() if process.stdout else ""
    if not line.isdigit():
        _stop(process)
        raise InputError(f"the offline teacher did not start (exit code {process.returncode})")
    return process, int(line)


def _stop(process: subprocess.Popen[str]) -> None:
    """Close its stdin, which ends it; then insist."""
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
