"""The supervisor over a tiny project: a stub of manage.py, three small processes, no database."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nexa_site.env import BASE_DIR

MAIN = "import sys, pathlib, nexa_site.supervisor as s; sys.exit(s.main(pathlib.Path.cwd()))"
MANAGE = "import sys, pathlib; pathlib.Path(sys.argv[1]).touch(); print('said by', sys.argv[1])"
WEB = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == '/healthz' else 404)
        self.end_headers()
    def log_message(self, *words):
        pass
http.server.ThreadingHTTPServer(('127.0.0.1', int(os.environ['PORT'])), Handler).serve_forever()
"""
# As a cluster: a main process and a worker of its own; it notes how often it was asked to stop.
WORKER = """
import os, signal, subprocess, sys, time
worker = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
def stop(*_):
    with open('terms', 'a') as notes:
        notes.write('term ')
    if 'stubborn' not in sys.argv:
        sys.exit(0)
signal.signal(signal.SIGTERM, stop)
with open('workers', 'a') as notes:
    notes.write(f'{os.getpid()} {worker.pid} ')
print('working', flush=True)
while True:
    time.sleep(600)
"""


class Project:
    """A folder with a Procfile, and the supervisor over it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self.processes: list[subprocess.Popen[str]] = []
        commands = folder / "app" / "management" / "commands"
        commands.mkdir(parents=True)
        (commands / "bootstrap.py").touch()
        (folder / "manage.py").write_text(MANAGE)
        (folder / "web.py").write_text(WEB)
        (folder / "worker.py").write_text(WORKER)
        self.write_procfile("web: python web.py", "worker: python worker.py")

    def write_procfile(self, *lines: str) -> None:
        (self.folder / "Procfile").write_text("\n".join(lines))

    def start(self) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "PYTHONPATH": str(BASE_DIR),
            "NEXA_DATA_DIR": str(self.folder / "var"),
            "PORT": str(self.port),
            "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        }
        process = subprocess.Popen(
            [sys.executable, "-c", MAIN],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def start_and_wait(self) -> tuple[subprocess.Popen[str], str]:
        """Start it; return it with all it said until it was up."""
        process = self.start()
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "Stop it with" in line:
                break
        self.wait_for(lambda: len(self.workers()) > 1)
        return process, said

    def workers(self) -> list[int]:
        notes = self.folder / "workers"
        return [int(pid) for pid in notes.read_text().split()] if notes.exists() else []

    def no_worker_lives(self) -> bool:
        return not any(map(_lives, self.workers()))

    @staticmethod
    def wait_for(condition: Callable[[], bool], seconds: float = 15) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.05)


@pytest.fixture
def project(tmp_path) -> Iterator[Project]:
    project = Project(tmp_path)
    yield project
    for process in project.processes:
        process.kill()
        process.communicate()
    project.wait_for(project.no_worker_lives)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _lives(pid: int) -> bool:
    """Say whether a process runs; a zombie, where that can be told, does not."""
    try:
        os.kill(pid, 0)
        return b") Z" not in Path(f"/proc/{pid}/stat").read_bytes()
    except ProcessLookupError:
        return False
    except FileNotFoundError:
        return not Path("/proc/self").exists()


def test_it_prepares_then_starts_all_and_says_where(project) -> None:
    _, said = project.start_and_wait()
    assert all((project.folder / name).exists() for name in ("migrate", "collectstatic"))
    assert said.index("said by bootstrap") < said.index(f"is up: http://127.0.0.1:{project.port}/")
    project.wait_for(lambda: "working" in (project.folder / "var/logs/worker.log").read_text())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_all_with_one_sigterm_each(project, number) -> None:
    process, _ = project.start_and_wait()
    os.killpg(process.pid, number)
    said, _ = process.communicate(timeout=20)
    assert process.returncode == 0, said
    assert project.no_worker_lives()
    assert (project.folder / "terms").read_text() == "term "


def test_killing_the_supervisor_leaves_nothing(project) -> None:
    process, _ = project.start_and_wait()
    process.kill()
    project.wait_for(project.no_worker_lives)
    assert (project.folder / "terms").read_text() == "term "
    project.start_and_wait()


# As a training: in a session of its own, known by a locked file that carries its number.
GUEST = """
import fcntl, os, pathlib, sys, time
data, is_stubborn = pathlib.Path(os.environ['NEXA_DATA_DIR']), 'stubborn' in sys.argv
guest = data / 'run/guests' / str(os.getpid())
guest.parent.mkdir(parents=True, exist_ok=True)
lock = guest.open('w')
fcntl.flock(lock, fcntl.LOCK_EX)
while is_stubborn or not (data / 'run/stopping').exists():
    time.sleep(0.05)
time.sleep(1)
pathlib.Path('saved').touch()
guest.unlink()
"""


def _take_in_guest(project: Project, *options: str) -> int:
    """Start the project with a worker that starts a guest; return the guest's number."""
    (project.folder / "guest.py").write_text(GUEST)
    worker = (
        f"import subprocess, sys\n"
        f"subprocess.Popen([sys.executable, 'guest.py', *{options!r}], start_new_session=True)\n"
    )
    (project.folder / "worker.py").write_text(worker + WORKER)
    project.start_and_wait()
    guests = project.folder / "var" / "run" / "guests"
    project.wait_for(lambda: any(guests.glob("*")))
    return int(next(guests.iterdir()).name)


def test_it_waits_for_its_guests_and_forgets_those_that_were_killed(project) -> None:
    guest = _take_in_guest(project)
    forgotten = project.folder / "var" / "run" / "guests" / "1"
    forgotten.touch()
    project.processes[-1].terminate()
    project.processes[-1].communicate(timeout=25)
    assert not _lives(guest)
    assert (project.folder / "saved").exists()
    assert not forgotten.exists()


@pytest.mark.soak
def test_a_guest_that_stays_is_killed(project) -> None:
    guest = _take_in_guest(project, "stubborn")
    project.processes[-1].terminate()
    project.processes[-1].communicate(timeout=25)
    project.wait_for(lambda: not _lives(guest))
    assert not (project.folder / "saved").exists()


def test_a_child_that_is_killed_goes_with_its_group_and_comes_again(project) -> None:
    project.start_and_wait()
    first = project.workers()
    os.kill(first[0], signal.SIGKILL)
    project.wait_for(lambda: len(project.workers()) == 4)
    assert not any(map(_lives, first))


def test_a_second_one_is_refused(project) -> None:
    project.start_and_wait()
    second = project.start()
    said, _ = second.communicate(timeout=20)
    assert second.returncode == 2
    assert said.strip().endswith(f"already running over {project.folder / 'var'}")


def test_a_taken_port_is_refused(project) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", project.port))
        other.listen()
        process = project.start()
        said, _ = process.communicate(timeout=20)
    assert process.returncode == 2
    assert f"Port {project.port} is taken" in said


def test_a_taken_port_of_the_teacher_is_refused_by_its_variable(project) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", project.port + 10))
        other.listen()
        process = project.start()
        said, _ = process.communicate(timeout=20)
    assert process.returncode == 2
    assert f"OFFLINE_TEACHER_PORT={project.port + 11}" in said


def test_a_failed_preparation_ends_with_its_reason(project) -> None:
    (project.folder / "manage.py").write_text("import sys; print('no table'); sys.exit(3)")
    process = project.start()
    said, _ = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "no table" in said
    assert "manage.py migrate ended with 3" in said


@pytest.mark.soak
def test_a_stubborn_child_is_killed_with_its_group_within_thirty_seconds(project) -> None:
    project.write_procfile("web: python web.py", "worker: python worker.py stubborn")
    process, _ = project.start_and_wait()
    began = time.monotonic()
    process.terminate()
    process.communicate(timeout=40)
    assert time.monotonic() - began < 30
    assert project.no_worker_lives()
