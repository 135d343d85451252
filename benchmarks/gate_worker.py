"""A measurement in a process of its own: memory and threads are that measurement's alone.

python -m benchmarks.gate_worker benchmarks.bench_gate_rules measure_all '{"rows": 5000}'
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from importlib import import_module

from benchmarks.engine_site import ROOT, Measured


def in_own_process(module: str, function: str, *, threads: int = 0, **order: object) -> Measured:
    """What the function of the module says, asked in a new process; polars gets so many threads.

    `threads` 0: as many as there are cores. Raises RuntimeError where it fails.
    """
    environment = {**os.environ, **({"POLARS_MAX_THREADS": str(threads)} if threads else {})}
    argv = [sys.executable, "-m", "benchmarks.gate_worker", module, function, json.dumps(order)]
    done = subprocess.run(
        argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{function} failed:\n{done.stderr[-2000:]}")
    figures: Measured = json.loads(done.stdout.splitlines()[-1])
    return figures


def peak_mb() -> float:
    """The most memory that this process has had resident."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


def main() -> None:
    module, function, order = sys.argv[1:]
    print(json.dumps(getattr(import_module(module), function)(**json.loads(order))))


if __name__ == "__main__":
    main()
