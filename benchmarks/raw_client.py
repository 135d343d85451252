"""The yardstick: bare aiohttp + orjson, a pool of slots, storing nothing.

    python -m benchmarks.raw_client URL BODIES SLOTS

Sends each line of the file BODIES once to URL, with as many requests in flight as there are slots.
The last line printed is JSON: replies, seconds, cpu_s (of this process, from the first request to
the last reply), peak_mb.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import orjson
import uvloop


async def fetch_all(url: str, bodies: list[bytes], slots: int) -> int:
    """Send every body once; return how many good replies came."""
    connector = aiohttp.TCPConnector(limit=slots, limit_per_host=0)
    waiting = iter(bodies)
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        counts = await asyncio.gather(*(_fill_slot(session, url, waiting) for _ in range(slots)))
    return sum(counts)


async def _fill_slot(session: aiohttp.ClientSession, url: str, waiting: Iterator[bytes]) -> int:
    good = 0
    headers = {"Content-Type": "application/json"}
    for body in waiting:
        async with session.post(url, data=body, headers=headers) as response:
            envelope = orjson.loads(await response.read())
        good += bool(envelope["choices"][0]["message"]["content"])
    return good


def main() -> None:
    """Fetch all and print what that took."""
    url, path, slots = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    bodies = path.read_bytes().splitlines()
    start, cpu = time.monotonic(), time.process_time()
    good = uvloop.run(fetch_all(url, bodies, slots))
    print_measured(good, start, cpu)


def print_measured(replies: int, start: float, cpu: float) -> None:
    """Print the line that the benchmark reads; `start` and `cpu` are the clocks at the start."""
    measured = {
        "replies": replies,
        "seconds": time.monotonic() - start,
        "cpu_s": time.process_time() - cpu,
        "peak_mb": peak_mb(),
    }
    print(json.dumps(measured), flush=True)


def peak_mb() -> float:
    """The most memory that this process ever had, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
