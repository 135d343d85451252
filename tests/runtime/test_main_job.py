"""The main job, whole: one command, and the demo awaits review; killed and started, it goes on."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import orjson
import pytest

from nexa_site.env import BASE_DIR

SECONDS_TO_REVIEW = 120


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    keep = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    keep.pop("DATABASE_URL", None)
    return keep | {
        "NEXA_DATA_DIR": str(tmp_path / "var"),
        "PORT": str(free_port()),
        "OFFLINE_TEACHER_PORT": str(free_port()),
        "WEB_WORKERS": "1",
    }


Process = subprocess.Popen[bytes]


@pytest.fixture
def started(environment: dict[str, str]) -> Iterator[list[Process]]:
    """Supervisors that the test starts; whatever is left of them is ended."""
    processes: list[Process] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()
    for pid in survivors(environment):
        os.kill(pid, signal.SIGKILL)


def start(started: list[Process], environment: dict[str, str], log: Path) -> Process:
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "nexa_site.supervisor"],
            cwd=BASE_DIR,
            env=environment,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    started.append(process)
    return process


def survivors(environment: dict[str, str]) -> list[int]:
    """The processes of this installation, told by its data folder; what Linux promises."""
    sign = f"NEXA_DATA_DIR={environment['NEXA_DATA_DIR']}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if sign in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found


def wait_until_up(environment: dict[str, str], process: Process) -> None:
    until = time.monotonic() + 90
    while time.monotonic() < until:
        assert process.poll() is None, "the supervisor ended"
        try:
            with urlopen(f"http://127.0.0.1:{environment['PORT']}/healthz", timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.3)
    pytest.fail("the page never answered")


def status(environment: dict[str, str]) -> dict[str, int]:
    argv = [sys.executable, "manage.py", "status", "--json"]
    said = subprocess.run(argv, cwd=BASE_DIR, env=environment, capture_output=True, check=True)
    counts: dict[str, int] = orjson.loads(said.stdout)
    return counts


def wait_for(environment: dict[str, str], key: str, at_least: int) -> dict[str, int]:
    until = time.monotonic() + SECONDS_TO_REVIEW
    while time.monotonic() < until:
        counts = status(environment)
        if counts[key] >= at_least:
            return counts
        time.sleep(0.5)
    pytest.fail(f"{counts} after {SECONDS_TO_REVIEW} s")


def wait_for_none_left(environment: dict[str, str], seconds: float) -> None:
    until = time.monotonic() + seconds
    while left := survivors(environment):
        assert time.monotonic() < until, f"left over: {left}"
        time.sleep(0.2)


@pytest.mark.timeout(300)
def test_one_command_leads_to_a_demo_that_awaits_review(
    environment: dict[str, str], started: list[Process], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    process = start(started, environment, log)
    wait_until_up(environment, process)
    wait_for(environment, "completions", 10)
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for_none_left(environment, 30)
    assert len(re.findall("with the password", log.read_text())) == 1

    process = start(started, environment, log)
    wait_until_up(environment, process)
    counts = wait_for(environment, "awaiting_review", 50)
    assert counts["samples"] >= 120
    assert "with the password" not in log.read_text()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0
    wait_for_none_left(environment, 5)
