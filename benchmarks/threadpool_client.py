"""The guide's way: a pool of threads and the official client's synchronous door, storing nothing.

    python -m benchmarks.threadpool_client BASE_URL BODIES THREADS

Arguments and output as in `benchmarks.raw_client`, but for the address, which ends in /v1.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
from openai import OpenAI

from benchmarks.raw_client import print_measured


def main() -> None:
    """Ask for each body in a thread and print what that took."""
    base_url, path, threads = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    asked = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    client = OpenAI(base_url=base_url, api_key="none", max_retries=0)

    def ask(body: dict[str, object]) -> bool:
        reply = client.chat.completions.create(**body)  # type: ignore[call-overload]
        return bool(reply.choices[0].message.content)

    start, cpu = time.monotonic(), time.process_time()
    with ThreadPoolExecutor(threads) as pool:
        good = sum(pool.map(ask, asked))
    print_measured(good, start, cpu)


if __name__ == "__main__":
    main()
