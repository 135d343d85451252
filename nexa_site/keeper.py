"""Who keeps the embedded database up, and for how long: as long as somebody uses it.

Everyone who needs the server holds a shared lock on one file, forks included; the kernel lets go of
it however they end, `kill -9` too. One keeper process per data folder starts the server, starts it
again when it dies, and stops it once nobody holds that lock. The locks, in `run/`:

1. `use.lock`: shared by the users;
2. `start.lock`: held for moments, by whoever looks at the server or changes its state;
3. `keeper.lock`: held by the keeper while it lives.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from nexa_site import postgres
from nexa_site.env import BASE_DIR

Lock = IO[str]
PERIOD_SECONDS = 0.25
# A lock ends when its file is closed: those of this process are kept here until it ends.
_held: dict[Path, Lock] = {}


class KeeperError(RuntimeError):
    """The embedded database cannot be had; the message says why."""


def attach(data_dir: Path, *, throw_away: bool = False, timeout_seconds: float = 90) -> None:
    """Have the embedded database up for as long as this process, or a fork of it, lives.

    Cheap when the server runs already. One to throw away is fast rather than safe, and goes with
    its folder when nobody uses it any more. Raises `KeeperError` when it cannot be started.
    """
    folder = prepare_folder(data_dir)
    if data_dir not in _held:
        _held[data_dir] = (folder / "use.lock").open("a")
    use = _held[data_dir]
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        with _locked(folder / "start.lock"):
            fcntl.flock(use, fcntl.LOCK_SH)
            if not _is_held(folder / "keeper.lock"):
                _start_keeper(data_dir, throw_away=throw_away)
            if postgres.is_ready(data_dir / "postgres"):
                return
        time.sleep(0.1)
    raise KeeperError(f"The embedded database did not answer; see {data_dir / 'logs'}")


def detach(data_dir: Path) -> None:
    """Let go of the database: the keeper stops it when nobody else uses it."""
    _held.pop(data_dir).close()


def try_lock(path: Path) -> Lock | None:
    """Return the exclusive lock on a file, or None when somebody else holds one."""
    lock = path.open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def keep(data_dir: Path, *, throw_away: bool) -> None:
    """Keep the server up while somebody uses it; then stop it and return. The keeper's whole life.

    Writes one line to standard output: `ready`, or why not.
    """
    folder = prepare_folder(data_dir)
    lock = try_lock(folder / "keeper.lock")
    if lock is None:
        print("ready", flush=True)  # noqa: T201 - the line the starter waits for
        return
    with lock:
        try:
            _ensure_server(data_dir, throw_away=throw_away)
        except postgres.PostgresError as error:
            print(error, flush=True)  # noqa: T201 - as above
            return
        print("ready", flush=True)  # noqa: T201 - as above
        while not _stop_if_unused(data_dir, folder, throw_away=throw_away):
            time.sleep(PERIOD_SECONDS)
    if throw_away:
        shutil.rmtree(data_dir, ignore_errors=True)


def _stop_if_unused(data_dir: Path, folder: Path, *, throw_away: bool) -> bool:
    start = try_lock(folder / "start.lock")
    if start is None:
        return False
    with start:
        if _is_held(folder / "use.lock"):
            _ensure_server(data_dir, throw_away=throw_away)
            return False
        if pid := postgres.server_pid(data_dir / "postgres"):
            postgres.stop(pid)
        return True


def _ensure_server(data_dir: Path, *, throw_away: bool) -> None:
    if postgres.server_pid(data_dir / "postgres") is None:
        logs = data_dir / "logs"
        logs.mkdir(exist_ok=True)
        sockets = postgres.socket_folder(data_dir)
        options = postgres.FAST_OPTIONS if throw_away else postgres.SAFE_OPTIONS
        postgres.start(data_dir / "postgres", sockets, logs / "postgres.log", options)


def _start_keeper(data_dir: Path, *, throw_away: bool) -> None:
    logs = data_dir / "logs"
    flags = ["--throw-away"] if throw_away else []
    logs.mkdir(exist_ok=True)
    with (logs / "keeper.log").open("ab") as errors:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "nexa_site.keeper", str(data_dir), *flags],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=BASE_DIR,
            start_new_session=True,
            text=True,
        )
    assert keeper.stdout is not None  # noqa: S101 - a pipe was asked for
    with keeper.stdout as answers:
        if (answer := answers.readline().strip()) != "ready":
            rest = answers.read().strip()
            raise KeeperError(f"{answer}\n{rest}".strip() or f"see {logs / 'keeper.log'}")
    # It outlives us: without this, Python would warn of a child left behind.
    keeper.returncode = 0


def prepare_folder(data_dir: Path) -> Path:
    """Return the folder of the locks, made where it is new; raise `KeeperError` if it cannot be."""
    folder = data_dir / "run"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    except PermissionError as error:
        raise KeeperError(f"NEXA_DATA_DIR: {data_dir} cannot be written ({error})") from None
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_held(path: Path) -> bool:
    lock = try_lock(path)
    if lock is None:
        return True
    lock.close()
    return False


if __name__ == "__main__":
    keep(Path(sys.argv[1]), throw_away="--throw-away" in sys.argv)
