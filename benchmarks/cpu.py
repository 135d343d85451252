"""CPU time from /proc: of PostgreSQL with its backends, of the machine, of this process's threads.

Where there is no /proc (macOS) everything here is zero or empty.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from types import FrameType

_TICK = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")
Used = dict[str, float]


def process_cpu_seconds(pid: int) -> float:
    """CPU seconds of a process; 0 where it is gone."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICK if fields else 0.0


def postgres_cpu_seconds(pid: int) -> float:
    """CPU seconds of a PostgreSQL server with all its backends, those that have ended included."""
    own = _stat(pid)
    if not own:
        return 0.0
    of_ended = (int(own[13]) + int(own[14])) / _TICK
    return process_cpu_seconds(pid) + of_ended + sum(map(process_cpu_seconds, children_of(pid)))


def children_of(pid: int) -> list[int]:
    """The processes that `pid` has started and that live."""
    return [int(path.name) for path in _PROC.glob("[0-9]*") if _parent(path) == pid]


def machine_cpu_seconds() -> float:
    """CPU seconds that all processes of the machine have used since it was started."""
    try:
        fields = (_PROC / "stat").read_text().split("\n", 1)[0].split()
    except OSError:
        return 0.0
    return sum(int(fields[place]) for place in (1, 2, 3, 6, 7)) / _TICK


def _stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the state on."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _parent(path: Path) -> int:
    fields = _stat(int(path.name))
    return int(fields[1]) if fields else 0


class Profile:
    """Who uses this process's CPU: by thread, and with `deep` by function.

    A thread of its own looks at all stacks every `period` seconds and books the CPU time that each
    thread has used since the last look (from /proc, in nanoseconds) to the function it is in, and
    to all that called it. It costs about one percent.
    """

    def __init__(self, *, period: float = 0.005, deep: bool = False) -> None:
        self.by_thread: dict[str, float] = {}
        self._own: dict[str, Used] = defaultdict(lambda: defaultdict(float))
        self._with_callees: dict[str, Used] = defaultdict(lambda: defaultdict(float))
        self._period, self._deep = period, deep
        self._last: dict[int, int] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="profile", daemon=True)

    def __enter__(self) -> Profile:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopping.set()
        self._thread.join()

    def top(self, count: int = 60) -> dict[str, dict[str, list[tuple[str, float]]]]:
        """By thread: where the seconds went, by function alone and with all that it calls."""

        def most(used: Used) -> list[tuple[str, float]]:
            return sorted(used.items(), key=lambda row: -row[1])[:count]

        return {
            thread: {
                "own": most(self._own[thread]),
                "with_callees": most(self._with_callees[thread]),
            }
            for thread in self._own
        }

    def _watch(self) -> None:
        while not self._stopping.wait(self._period):
            frames = sys._current_frames() if self._deep else {}  # noqa: SLF001 - no other door
            for thread in threading.enumerate():
                if thread.native_id is None or thread.ident is None:
                    continue
                used = self._nanoseconds_of(thread.native_id)
                if used:
                    self._book(thread.name, used / 1e9, frames.get(thread.ident))

    def _nanoseconds_of(self, native_id: int) -> int:
        """Nanoseconds since the last look."""
        try:
            now = int(
                (_PROC / "self" / "task" / str(native_id) / "schedstat").read_text().split()[0]
            )
        except OSError:
            return 0
        before = self._last.get(native_id, now)
        self._last[native_id] = now
        return now - before

    def _book(self, thread: str, seconds: float, frame: FrameType | None) -> None:
        self.by_thread[thread] = self.by_thread.get(thread, 0.0) + seconds
        if frame is None:
            return
        self._own[thread][_place(frame)] += seconds
        seen = set()
        at: FrameType | None = frame
        while at is not None:
            seen.add(_place(at))
            at = at.f_back
        for place in seen:
            self._with_callees[thread][place] += seconds


def _place(frame: FrameType) -> str:
    code = frame.f_code
    parts = code.co_filename.split("/")[-3:]
    return f"{'/'.join(parts)}:{code.co_firstlineno} {code.co_name}"


def other_cores(began: float, machine_before: float, own_seconds: float) -> float:
    """Cores that everything else on the machine used since `began` (a monotonic time)."""
    used = machine_cpu_seconds() - machine_before - own_seconds
    return max(0.0, used / (time.monotonic() - began))
