"""`python -m training.runner.shim FOLDER … -- PROGRAM …`: keeps one program, and says how it ended.

It leads a session and a process group of its own, so it outlives the worker that started it. It
writes `process.json` once the program may be looked for, `exit.json` when it has ended, and all
that the program prints to `log.txt`. One shim at a time per folder, by a lock.

How the program is ended, seconds after it was asked:

- the `stop` file: the program sees it too and ends by itself, with a checkpoint; after 120 SIGTERM,
  after 150 SIGKILL.
- its owner (the supervisor, or a command) is gone, `stopping` appears among the owner's files, or
  the shim gets a SIGTERM: the shim makes the `stop` file; after 5 SIGTERM, after 8 SIGKILL.

SIGTERM goes to the program alone (torchrun passes it on), SIGKILL to every process that carries the
folder's name in its environment: torchrun puts its ranks into sessions of their own. Should the
shim be killed, ranks see it by `NEXA_SHIM_PID` and end themselves.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from training.logic.layout import ProcessLayout
from training.logic.process_stat import FOLDER_VARIABLE, ProcessStat, is_marked, parse_stat

POLL_SECONDS = 0.2
STOP_SECONDS = (120.0, 150.0)
HURRY_SECONDS = (5.0, 8.0)
SHIM_VARIABLE = "NEXA_SHIM_PID"
# A full disk has no room left for how it ended: that much is kept for it from the start.
_NOTE_BYTES = 512


def main(argv: Sequence[str] | None = None) -> int:
    """Start the program in the background; return 0 when it may be looked for, or runs already."""
    arguments = _parse(argv)
    reading, writing = os.pipe()
    if os.fork():
        os.close(writing)
        with os.fdopen(reading) as words:
            return int(words.read() or 1)
    os.close(reading)
    os.setsid()
    return _live(arguments, writing)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Keep one program, and say how it ended.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--owner", type=int, help="pid of the process it must not outlive")
    parser.add_argument("--guest-of", type=Path, help="the owner's folder: guests/, stopping")
    parser.add_argument("program", nargs="+")
    return parser.parse_args(argv)


def _live(arguments: argparse.Namespace, writing: int) -> int:
    layout = ProcessLayout(arguments.folder)
    with contextlib.ExitStack() as stack:
        if not _lock(stack.enter_context((layout.folder / "process.lock").open("a"))):
            os.write(writing, b"0")
            return 0
        if arguments.guest_of:
            stack.enter_context(_staying_as_guest(arguments.guest_of))
        owner = _Owner(arguments.owner, arguments.guest_of)
        keeper = _Keeper(layout, owner, arguments.program)
        os.write(writing, b"0")
        os.close(writing)
        _let_go_of_terminal(layout)
        keeper.wait()
    return 0


def _lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _staying_as_guest(house: Path) -> Iterator[None]:
    """A locked file with this process's number, which the owner waits for at its end."""
    path = house / "guests" / str(os.getpid())
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _let_go_of_terminal(layout: ProcessLayout) -> None:
    """Own words go to the log too: whoever started the shim may end, and its pipes with it."""
    with layout.log.open("ab") as log, Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)


class _Owner:
    """The process that the program must not outlive; with no pid there is none."""

    def __init__(self, pid: int | None, house: Path | None) -> None:
        self._pid, self._house = pid, house
        self._stat = None if pid is None else _stat(pid)

    def wants_the_end(self) -> str:
        """Why the program shall end now, or nothing."""
        if self._pid is None:
            return ""
        if not _is_same(self._pid, self._stat):
            return "owner_gone"
        if self._house is not None and (self._house / "stopping").exists():
            return "owner_stopping"
        return ""


class _Keeper:
    """One program from its start to its end."""

    def __init__(self, layout: ProcessLayout, owner: _Owner, argv: Sequence[str]) -> None:
        self._layout, self._owner = layout, owner
        self._why = ""
        self._asked_at = 0.0
        self._limits = STOP_SECONDS
        self._sent: list[signal.Signals] = []
        signal.signal(signal.SIGTERM, lambda *_: self._hurry("terminated"))
        for ignored in (signal.SIGINT, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)
        self._program = self._start(argv)

    def wait(self) -> None:
        """Watch until the program has ended, and write down how."""
        while (code := self._program.poll()) is None:
            self._look()
            time.sleep(POLL_SECONDS)
        _kill_marked(self._layout.folder)
        self._write_exit(code)

    def _start(self, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        """Forget how the last program ended, then start this one."""
        layout = self._layout
        layout.exit.unlink(missing_ok=True)
        layout.stop.unlink(missing_ok=True)
        _kill_marked(layout.folder)
        self._note().write_bytes(b" " * _NOTE_BYTES)
        stat = _stat(os.getpid())
        _write(layout.process, {"pid": os.getpid(), "started": stat.started if stat else 0})
        environment = {
            **os.environ,
            FOLDER_VARIABLE: str(layout.folder),
            SHIM_VARIABLE: str(os.getpid()),
        }
        with layout.log.open("ab", buffering=0) as log:
            log.write(f"--- started {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC\n".encode())
            return subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
            )

    def _look(self) -> None:
        if why := self._owner.wants_the_end():
            self._hurry(why)
        elif not self._why and self._layout.stop.exists():
            self._ask("stop", STOP_SECONDS)
        if not self._why:
            return
        seconds = time.monotonic() - self._asked_at
        if seconds > self._limits[1]:
            self._send(signal.SIGKILL)
        elif seconds > self._limits[0]:
            self._send(signal.SIGTERM)

    def _hurry(self, why: str) -> None:
        if self._limits is HURRY_SECONDS:
            return
        with contextlib.suppress(OSError):
            self._layout.stop.touch()
        self._ask(why, HURRY_SECONDS)

    def _ask(self, why: str, limits: tuple[float, float]) -> None:
        self._why, self._limits, self._asked_at = why, limits, time.monotonic()

    def _send(self, number: signal.Signals) -> None:
        if number in self._sent:
            return
        self._sent.append(number)
        self._program.send_signal(number)
        if number is signal.SIGKILL:
            _kill_marked(self._layout.folder)

    def _note(self) -> Path:
        return self._layout.folder / ".exit.json"

    def _write_exit(self, code: int) -> None:
        """`code` is negative for a signal; `why` empty where the program ended by itself."""
        words = {"code": code, "why": self._why, "signal": -code if code < 0 else None}
        text = json.dumps(words).encode().ljust(_NOTE_BYTES)
        with self._note().open("r+b") as file:
            file.write(text)
        self._note().replace(self._layout.exit)


def _write(path: Path, words: dict[str, object]) -> None:
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(json.dumps(words))
    draft.replace(path)


def _stat(pid: int) -> ProcessStat | None:
    """What Linux says of a process; None where it has ended, or elsewhere."""
    try:
        return parse_stat(Path(f"/proc/{pid}/stat").read_text())
    except OSError:
        return None


def _is_same(pid: int, before: ProcessStat | None) -> bool:
    if not Path("/proc/self").exists():
        return _answers(pid)
    now = _stat(pid)
    return bool(now and before and not now.is_dead and now.started == before.started)


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _kill_marked(folder: Path) -> None:
    """Kill every process started for this folder, also in a session of its own."""
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if is_marked(path.read_bytes(), folder):
                os.kill(int(path.parent.name), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
