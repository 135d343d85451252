"""Workers that share a run, get killed, and are started again, as a supervisor would."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.cpu import children_of
from benchmarks.engine_site import Site, Worker

AGAIN_SECONDS = 0.3
"""A worker that found nothing to do on an active run is asked again after so long."""


class Crew:
    """So many worker processes on one run at a time."""

    def __init__(self, site: Site, size: int) -> None:
        self._site = site
        self.workers = [Worker(site) for _ in range(size)]
        self._busy: set[int] = set()
        self._rest_until: dict[int, float] = {}
        self.broken: list[str] = []

    @property
    def pids(self) -> set[int]:
        return {worker.pid for worker in self.workers if worker.is_alive}

    def keep_at_work(self, run_id: int) -> None:
        """Start again who was killed; let everybody who has finished a step begin the next."""
        for place in range(len(self.workers)):
            if not self.workers[place].is_alive:
                self.workers[place].kill()
                self.workers[place] = Worker(self._site)
                self._busy.discard(place)
            worker = self.workers[place]
            if place in self._busy and select.select([worker.answers], [], [], 0)[0]:
                self._listen(place, worker)
            if place not in self._busy and time.monotonic() >= self._rest_until.get(place, 0):
                worker.tell(run=run_id)
                self._busy.add(place)

    def finish(self, seconds: float = 60) -> None:
        """Wait until the steps that go on have ended; who does not end is killed."""
        until = time.monotonic() + seconds
        for place in sorted(self._busy):
            worker = self.workers[place]
            left = max(0.0, until - time.monotonic())
            if worker.is_alive and select.select([worker.answers], [], [], left)[0]:
                self._listen(place, worker)
            else:
                worker.kill()
        self._busy.clear()

    def end(self) -> None:
        for worker in self.workers:
            worker.kill()

    def _listen(self, place: int, worker: Worker) -> None:
        self._busy.discard(place)
        self._rest_until[place] = time.monotonic() + AGAIN_SECONDS
        with suppress(RuntimeError):
            told = worker.hear()
            if told["error"]:
                self.broken.append(told["error"])


@contextmanager
def a_crew(site: Site, size: int) -> Iterator[Crew]:
    """A crew for as long as the block runs."""
    crew = Crew(site, size)
    try:
        yield crew
    finally:
        crew.end()


def kill_worker(crew: Crew, place: int) -> set[int]:
    """`kill -9` of one worker; return its process id."""
    pid = crew.workers[place].pid
    _kill([pid])
    return {pid}


def kill_postgres(site: Site) -> None:
    """`kill -9` of the database server and of all its backends."""
    pid = site.postgres_pid
    if pid is not None:
        _kill([pid, *children_of(pid)])


def kill_tree(site: Site, crew: Crew) -> None:
    """`kill -9` of everything: workers, the keeper of the database, the database."""
    keepers = [pid for pid in _pids() if _is_keeper(pid, site.data_dir)]
    _kill([*keepers, *crew.pids])
    kill_postgres(site)


def _kill(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def _is_keeper(pid: int, data_dir: Path) -> bool:
    try:
        argv = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return False
    return "nexa_site.keeper" in argv and str(data_dir) in argv
