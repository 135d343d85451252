"""A worker process of the engine's benchmarks.

Reads one order a line from standard input, `{"run": 7}`, works on that run by the same door as a
worker of the site (`run_step`) until there is nothing more to do for it, and answers with one line
of JSON: in which state it left the run, and what that cost in CPU seconds, by thread, and memory.
`"deep": true` adds where the time went, by function.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.cpu import Profile
from benchmarks.raw_client import peak_mb


def main() -> None:
    """Work off what standard input says; end with it."""
    import django

    from nexa_site import keeper

    keeper.attach(Path(os.environ["NEXA_DATA_DIR"]))
    django.setup()
    for line in sys.stdin:
        print(json.dumps(_work_on(json.loads(line))), flush=True)


def _work_on(order: dict[str, Any]) -> dict[str, Any]:
    deep = bool(order.get("deep"))
    began, cpu = time.monotonic(), time.process_time()
    with Profile(period=0.005 if deep else 0.25, deep=deep) as profile:
        state, error = _step(order["run"])
    return {
        "state": state,
        "error": error,
        "seconds": time.monotonic() - began,
        "cpu_s": time.process_time() - cpu,
        "threads": {name: round(used, 2) for name, used in profile.by_thread.items()},
        "peak_mb": peak_mb(),
        **({"profile": profile.top()} if deep else {}),
    }


def _step(run_id: int) -> tuple[str, str]:
    from django.db import connections

    from distill.models import Run
    from distill.services.step import run_step

    try:
        state = run_step(run_id)
        while state == Run.State.QUEUED:
            state = run_step(run_id)
    except Exception as error:  # noqa: BLE001 - the benchmark decides what a broken step means
        print(repr(error), file=sys.stderr, flush=True)
        connections.close_all()
        return "broken", repr(error)
    return state, ""


if __name__ == "__main__":
    main()
