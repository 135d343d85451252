"""The engine's own transport, storing nothing: pool, throttle and teachers; a store that forgets.

    python -m benchmarks.transport_client TEACHER BODIES SLOTS

Arguments and output as in `benchmarks.raw_client`, but for the first, a teacher's name.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from benchmarks.raw_client import print_measured
from distill.engine.pool import Report, Sending, Turn, run_pool
from distill.logic.throttle import Throttle
from distill.logic.types import Message, Reply, Request
from distill.teachers.registry import open_teachers


class Forgetful:
    """A store that sells the requests one after the other and counts what comes back."""

    def __init__(self, teacher: str, requests: Iterator[Request]) -> None:
        self._teacher, self._requests = teacher, requests
        self._num_open = 0
        self.good = 0

    def turn(self, report: Report[Request]) -> Turn[Request]:
        """Take what arrived; sell as much as there is room for, what was not sent once more."""
        back = [arrival.tag for arrival in report.arrivals if not _is_good(arrival.outcome)]
        self.good += len(report.arrivals) - len(back)
        self._num_open -= len(report.arrivals)
        room = min(report.room.of(self._teacher), report.room.total)
        fresh = islice(self._requests, max(0, room - len(back)))
        sendings = [Sending(request, request) for request in (*back, *fresh)]
        self._num_open += len(sendings)
        return Turn(sendings, wake_after=1.0, is_finished=not self._num_open)


async def fetch_all(teacher: str, requests: list[Request], slots: int) -> int:
    """Send every request once through the engine; return how many good replies came."""
    store = Forgetful(teacher, iter(requests))
    with ThreadPoolExecutor(1) as writer:
        async with open_teachers(slots=slots) as opened:
            await run_pool(
                ask=opened.ask,
                store=store.turn,
                slots=slots,
                throttle_for=lambda _name: Throttle(ceiling=slots, now=time.monotonic()),
                writer=writer,
            )
    return store.good


def main() -> None:
    """Fetch all and print what that took."""
    teacher, path, slots = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    requests = [_request(teacher, orjson.loads(line)) for line in path.read_bytes().splitlines()]
    start, cpu = time.monotonic(), time.process_time()
    good = asyncio.run(fetch_all(teacher, requests, slots))
    print_measured(good, start, cpu)


def _is_good(outcome: object) -> bool:
    return isinstance(outcome, Reply)


def _request(teacher: str, body: dict[str, Any]) -> Request:
    messages = body.pop("messages")
    del body["model"]
    return Request(teacher, tuple(Message(**part) for part in messages), body)


if __name__ == "__main__":
    main()
