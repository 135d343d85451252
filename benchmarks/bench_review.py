"""The review in figures: keys in a real browser, fifty people at one queue.

    python -m benchmarks.bench_review                   over 1,000,000 completions, about ten minutes
    QUICK=1 python -m benchmarks.bench_review           over 100,000, about three
    python -m benchmarks.bench_review --only keys

The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from benchmarks.bench_review_keys import measure_keys
from benchmarks.bench_review_people import measure_people
from benchmarks.engine_site import Measured

TARGETS = {
    "key_to_paint_p95_ms": ("<=", 50),
    "lost": ("<=", 0),
    "misapplied": ("<=", 0),
    "lease_p95_ms": ("<=", 150),
    "decision_p95_ms": ("<=", 150),
    "double_claims": ("<=", 0),
    "over_reviewed": ("<=", 0),
    "keys_per_accept": ("<=", 1),
    "keys_per_reject": ("<=", 2),
}
"""What was promised; figures are set beside it, and nothing fails where they fall short."""


def main() -> None:
    """Measure the parts that were asked for, each in a process of its own; one JSON object last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="keys,people", help="parts, separated by commas")
    chosen = parser.parse_args().only.split(",")
    is_quick = bool(os.environ.get("QUICK"))
    parts: dict[str, Callable[[], Measured]] = {
        "keys": partial(measure_keys, decisions=100, pause=0.3, delay=0.15, say=say),
        "people": partial(
            measure_people,
            completions=100_000 if is_quick else 1_000_000,
            people=50,
            seconds=30 if is_quick else 90,
            pause=3.0,
            say=say,
        ),
    }
    if unknown := set(chosen) - set(parts):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    figures: Measured = {}
    # A database is for one process: a second site needs another.
    spawn = multiprocessing.get_context("spawn")
    for name in chosen:
        say(f"--- {name}")
        with ProcessPoolExecutor(1, mp_context=spawn) as pool:
            figures |= pool.submit(parts[name]).result()
    for key, (sign, promised) in TARGETS.items():
        if key in figures:
            is_met = figures[key] <= promised
            say(
                f"{key:24} {figures[key]} (promised {sign} {promised}{'' if is_met else ', MISSED'})"
            )
    say(json.dumps(figures))


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
