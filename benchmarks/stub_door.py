"""The stub teacher seen from a benchmark: start it, set it, read its account."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import orjson


@dataclass(frozen=True, slots=True)
class StubDoor:
    """A running stub; `base_url` ends in /v1."""

    base_url: str

    def teacher(self, model: str = "bench") -> str:
        """The name under which our registry finds it."""
        return f"{self.base_url}#{model}"

    def set(self, **settings: object) -> float:
        """Change settings; return the server's clock at that moment."""
        return float(self._call("POST", "/set", orjson.dumps(settings))["now"])

    def reset(self) -> None:
        """Forget the account; what is still in service is forgotten with it."""
        self._call("POST", "/reset")

    def stats(self) -> dict[str, Any]:
        return self._call("GET", "/stats")

    def times(self) -> dict[str, list[float]]:
        return self._call("GET", "/times")

    def keys(self) -> dict[str, list[int]]:
        return self._call("GET", "/keys")

    def _call(self, method: str, path: str, body: bytes = b"") -> dict[str, Any]:
        where = urlsplit(self.base_url)
        connection = HTTPConnection(where.hostname or "", where.port, timeout=30)
        try:
            connection.request(method, path, body)
            told: dict[str, Any] = orjson.loads(connection.getresponse().read())
            return told
        finally:
            connection.close()


@contextmanager
def running_stub() -> Iterator[StubDoor]:
    """A stub teacher of its own, for as long as the block runs."""
    argv = [sys.executable, "-m", "benchmarks.stub_teacher"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        try:
            yield StubDoor(process.stdout.readline().strip())
        finally:
            process.kill()


def occupancy(
    times: dict[str, list[float]], *, slots: int, latency: float, trim: float = 0.15
) -> tuple[float, float]:
    """Replies per second × the reply time set on the server / slots: steady, and over all.

    Each reply counts for the time that the server was told to take, so that a slot that waits for
    its client is not busy. Steady leaves out `trim` of the time at either end; a reply that was in
    service at such an edge counts in part, so that waves do not matter.
    """
    arrived, replied = times["arrived"], times["replied"]
    first, last = min(arrived), max(replied)
    margin = trim * (last - first)
    begin, end = first + margin, last - margin
    steady = sum(max(0.0, min(at + latency, end) - max(at, begin)) for at in arrived)
    return steady / (slots * (end - begin)), len(arrived) * latency / (slots * (last - first))
