from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from nexa_site import keeper, postgres
from nexa_site.env import BASE_DIR

# Takes the database, says so, and holds it until its input ends.
USER = """
import sys
from pathlib import Path
from nexa_site import keeper
keeper.attach(Path(sys.argv[1]))
print("attached", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cluster for the module: making one takes a second."""
    return tmp_path_factory.mktemp("pg")


class Users:
    """Processes that use the database of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[str]] = []

    def start(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", USER, str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=BASE_DIR,
        )
        self.processes.append(process)
        return process

    def end(self, process: subprocess.Popen[str]) -> None:
        process.communicate()


@pytest.fixture
def users(folder) -> Iterator[Users]:
    users = Users(folder)
    yield users
    for process in users.processes:
        process.kill()
        process.communicate()
    _wait_for(lambda: postgres.server_pid(folder / "postgres") is None)


def _wait_for(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def _attached(process: subprocess.Popen[str]) -> bool:
    assert process.stdout is not None
    return process.stdout.readline() == "attached\n"


def _ask(folder: Path, query: str) -> object:
    sockets = str(postgres.socket_folder(folder))
    with psycopg.connect(host=sockets, dbname=postgres.DATABASE, user=postgres.OWNER) as connection:
        row = connection.execute(query).fetchone()
    return row and row[0]


def _keeper_pid(folder: Path) -> int:
    words = f"nexa_site.keeper\0{folder}".encode()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if words in path.read_bytes():
                return int(path.parent.name)
        except OSError:
            continue
    raise AssertionError("no keeper")


def test_the_server_lives_as_long_as_one_uses_it(folder, users) -> None:
    first, second = users.start(), users.start()
    assert _attached(first)
    assert _attached(second)
    pid = postgres.server_pid(folder / "postgres")
    users.end(first)
    time.sleep(3 * keeper.PERIOD_SECONDS)
    assert _ask(folder, "SELECT 1") == 1
    assert postgres.server_pid(folder / "postgres") == pid
    users.end(second)
    _wait_for(lambda: postgres.server_pid(folder / "postgres") is None)


def test_a_killed_user_leaves_no_server(folder, users) -> None:
    user = users.start()
    assert _attached(user)
    user.kill()
    _wait_for(lambda: postgres.server_pid(folder / "postgres") is None)


def test_a_killed_server_is_started_again(folder, users) -> None:
    assert _attached(users.start())
    before = postgres.server_pid(folder / "postgres")
    assert before is not None
    os.kill(before, signal.SIGKILL)
    _wait_for(lambda: postgres.server_pid(folder / "postgres") not in {None, before})
    _wait_for(lambda: postgres.is_ready(folder / "postgres"))
    assert _ask(folder, "SELECT 1") == 1


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks processes up in /proc")
def test_another_keeper_takes_the_place_of_a_killed_one(folder, users) -> None:
    first = users.start()
    assert _attached(first)
    pid = postgres.server_pid(folder / "postgres")
    os.kill(_keeper_pid(folder), signal.SIGKILL)
    second = users.start()
    assert _attached(second)
    assert postgres.server_pid(folder / "postgres") == pid
    users.end(first)
    users.end(second)
    _wait_for(lambda: postgres.server_pid(folder / "postgres") is None)


def test_a_stale_lock_file_does_not_hinder_the_start(folder, users) -> None:
    first = users.start()
    assert _attached(first)
    users.end(first)
    _wait_for(lambda: postgres.server_pid(folder / "postgres") is None)
    # Our own process id: alive, and no server.
    (folder / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{folder}\n")
    assert _attached(users.start())


def test_the_server_listens_on_a_private_socket_alone(folder, users) -> None:
    assert _attached(users.start())
    assert _ask(folder, "SHOW listen_addresses") == ""
    assert postgres.socket_folder(folder).stat().st_mode & 0o777 == 0o700
    assert (folder / "postgres").stat().st_mode & 0o777 == 0o700


def test_sorting_does_not_depend_on_the_host(folder, users) -> None:
    assert _attached(users.start())
    query = "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = 'postgres'"
    assert _ask(folder, query) == "bC.UTF-8"


def test_data_of_another_major_version_stops_with_instructions(folder, users, tmp_path) -> None:
    data = tmp_path / "postgres"
    data.mkdir(mode=0o700)
    (data / "PG_VERSION").write_text("12\n")
    user = subprocess.run(
        [sys.executable, "-c", USER, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert user.returncode != 0
    assert "PostgreSQL 12" in user.stderr
    assert "pg_dumpall" in user.stderr


def test_a_deep_folder_gets_a_short_socket_path(tmp_path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    sockets = postgres.socket_folder(deep)
    assert len(str(sockets)) < 80
    assert sockets.stat().st_mode & 0o777 == 0o700
    assert postgres.socket_folder(deep) == sockets
    sockets.rmdir()
    assert postgres.socket_folder(deep) != sockets
    postgres.socket_folder(deep).rmdir()


def test_stopping_what_has_ended_does_nothing() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    postgres.stop(process.pid)
