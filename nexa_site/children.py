"""The supervisor's children: started, read, started again when they end, stopped together."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from nexa_site import guardian, procfile
from nexa_site.env import BASE_DIR

LONGEST_PAUSE_SECONDS = 30
# A child that lived that long ended for a new reason: its pauses begin anew.
SETTLED_SECONDS = 60
# A process that left its group may hold a child's output open for ever.
LAST_LINES_SECONDS = 2
LOG_BYTES = 20_000_000
COLOURS = (36, 32, 33, 35, 34, 31)


def say(text: str, label: str = "") -> None:
    """Print a line for the person at the terminal."""
    try:
        print(f"{label}{text}", flush=True)  # noqa: T201 - the supervisor's voice
    except OSError:
        # The terminal was closed: there is nobody to tell, and the children must still be stopped.
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - open until the end


class Guard:
    """The guardian process, told of every child that starts and ends."""

    def __init__(self) -> None:
        self._pids: set[int] = set()
        self._process = self._start()

    def add(self, pid: int) -> None:
        """Have the group of `pid` ended, should the supervisor be killed."""
        self._pids.add(pid)
        self._tell(f"+ {pid}")

    def remove(self, pid: int) -> None:
        """Forget a group that has ended: its number may come to mean another."""
        self._pids.discard(pid)
        self._tell(f"- {pid}")

    def revive(self) -> None:
        """Start the guardian again, should it have been killed."""
        if self._process.poll() is not None:
            self._process = self._start()
            for pid in self._pids:
                self._tell(f"+ {pid}")

    def close(self) -> None:
        """Let the guardian end."""
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait()

    @staticmethod
    def _start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "nexa_site.guardian"],
            stdin=subprocess.PIPE,
            cwd=BASE_DIR,
            start_new_session=True,
            bufsize=0,
        )

    def _tell(self, words: str) -> None:
        # One that was killed is revived with all that it should know.
        if self._process.stdin:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(f"{words}\n".encode())


@dataclass
class Child:
    """One process of the Procfile, through all its lives."""

    entry: procfile.Entry
    label: str
    log: Path
    root: Path
    environment: Mapping[str, str]
    process: asyncio.subprocess.Process | None = None
    started_at: float = 0.0
    num_failures: int = 0

    @property
    def age_seconds(self) -> float:
        """How long the child has been running in its present life."""
        return time.monotonic() - self.started_at

    async def keep_running(self, guard: Guard, stopping: asyncio.Event) -> None:
        """Start the child again whenever it ends, after growing pauses, until `stopping`."""
        while not stopping.is_set():
            self.started_at = time.monotonic()
            code = await self._live(guard)
            if stopping.is_set():
                return
            self.num_failures = 1 if self.age_seconds > SETTLED_SECONDS else self.num_failures + 1
            pause = min(2 ** (self.num_failures - 1), LONGEST_PAUSE_SECONDS)
            say(f"{self.entry.name} ended with {code}; started again in {pause} s")
            await asyncio.wait([asyncio.create_task(stopping.wait())], timeout=pause)

    def kill(self) -> None:
        """Kill the child and all it started."""
        if self.process:
            guardian.kill_group(self.process.pid)

    async def _live(self, guard: Guard) -> int:
        """Start the child, pass its lines on, and return its exit code when it has ended."""
        reader, output = await _open_pipe()
        try:
            self.process = await asyncio.create_subprocess_exec(
                *self.entry.argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.root,
                env={**self.environment, **self.entry.variables},
                start_new_session=True,
            )
        except OSError as error:
            say(str(error), self.label)
            return 127
        finally:
            os.close(output)
        pid = self.process.pid
        guard.add(pid)
        reading = asyncio.create_task(self._pass_on(reader))
        code = await self.process.wait()
        # What it leaves behind would go on alone, beside its next life.
        guardian.kill_group(pid)
        await asyncio.wait([reading], timeout=LAST_LINES_SECONDS)
        reading.cancel()
        guard.remove(pid)
        self.process = None
        return code

    async def _pass_on(self, reader: asyncio.StreamReader) -> None:
        with _open_log(self.log) as log:
            while line := await _read_line(reader):
                log.write(line)
                say(line.decode(errors="replace").rstrip("\n"), self.label)


def make_children(
    entries: Iterable[procfile.Entry], *, root: Path, logs: Path, environment: Mapping[str, str]
) -> list[Child]:
    """Return a child for each entry, its lines marked with its name, in colour on a terminal."""
    entries = list(entries)
    width = max(len(entry.name) for entry in entries)
    labels = [_label(entry.name.ljust(width), index) for index, entry in enumerate(entries)]
    return [
        Child(entry, label, logs / f"{entry.name}.log", root, environment)
        for entry, label in zip(entries, labels, strict=True)
    ]


async def stop(children: Iterable[Child], *, seconds: float) -> None:
    """Send one SIGTERM to each child's main process; kill the groups of those that stay."""
    running = [child.process for child in children if child.process]
    processes = [process for process in running if process.returncode is None]
    for process in processes:
        process.terminate()
    waits = [asyncio.create_task(process.wait()) for process in processes]
    if waits:
        await asyncio.wait(waits, timeout=seconds)
    for process in processes:
        guardian.kill_group(process.pid)
    await asyncio.gather(*waits)


def _label(name: str, index: int) -> str:
    if not sys.stdout.isatty():
        return f"{name} | "
    return f"\x1b[{COLOURS[index % len(COLOURS)]}m{name} |\x1b[0m "


async def _open_pipe() -> tuple[asyncio.StreamReader, int]:
    """Return a reader and the file descriptor to write to."""
    source, target = os.pipe()
    reader = asyncio.StreamReader(limit=2**20)
    protocol = asyncio.StreamReaderProtocol(reader)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: protocol, os.fdopen(source, "rb"))
    return reader, target


async def _read_line(reader: asyncio.StreamReader) -> bytes:
    """Return the next line, cut where it is longer than the reader's limit; empty at the end."""
    try:
        return await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError as error:
        return await reader.readexactly(error.consumed)


def _open_log(path: Path) -> IO[bytes]:
    """Open a log to append to; a large one is put aside first, replacing the one before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab", buffering=0)
