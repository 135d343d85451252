"""The generation engine in figures: occupancy, CPU, faults, kills, budgets, storms, memory.

    python -m benchmarks.bench_engine                     everything, about forty minutes
    QUICK=1 python -m benchmarks.bench_engine             the same figures from smaller loads, five
    python -m benchmarks.bench_engine --only faults,kills

Real HTTP on loopback to a server in a process of its own, a real PostgreSQL that syncs to disk,
workers in processes of their own. Clients are measured in turns within one run, medians over the
rounds: ratios hold, absolutes are the machine's. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.engine_site import Measured, Site, open_site


@dataclass(frozen=True, slots=True)
class Load:
    """How much each part does."""

    waves: int
    rounds: int
    fault_samples: int
    kills: int
    budget_runs: int
    storm_seconds: float
    memory_samples: tuple[int, int]


FULL = Load(20, 3, 10_000, 20, 100, 60.0, (10_000, 100_000))
QUICK = Load(8, 1, 1_500, 6, 12, 10.0, (1_500, 4_500))

PARTS = ("throughput", "faults", "kills", "budget", "storm", "memory")
TARGETS = {
    "ratio_to_raw_256": (">=", 0.97),
    "ratio_to_raw_1024": (">=", 0.7),
    "cpu_ms_transport": ("<=", 0.6),
    "cpu_ms_durable": ("<=", 1.2),
    "ratio_vs_threadpool": (">=", 3),
    "lost": ("<=", 0),
    "duplicated": ("<=", 0),
    "lost_after_kills": ("<=", 0),
    "bought_twice": ("<=", "in_flight_at_kills"),
    "overspend": ("<=", 0),
    "spent_share": (">=", 0.95),
    "recovery_s": ("<=", 5),
    "peak_mb_100k": ("<=", 300),
    "memory_ratio": ("<=", 1.2),
}
"""What was promised; figures are set beside it, and nothing fails where they fall short."""


def main() -> None:
    """Measure the parts that were asked for; print them, and one JSON object last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas")
    chosen = parser.parse_args().only.split(",")
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    figures: Measured = {}
    with open_site() as site:
        parts = _parts(QUICK if os.environ.get("QUICK") else FULL)
        for name in chosen:
            say(f"--- {name}")
            figures |= _attempt(site, name, parts[name])
    for key in figures:
        say(_verdict(figures, key))
    say(json.dumps(figures))
    sys.exit("errors" in figures)


def say(line: str) -> None:
    print(line, flush=True)


def _parts(load: Load) -> dict[str, Callable[[Site], Measured]]:
    # They import models, which Django must be set up for.
    from benchmarks.bench_engine_budget import measure_budget
    from benchmarks.bench_engine_faults import measure_faults, measure_storm
    from benchmarks.bench_engine_kills import measure_kills
    from benchmarks.bench_engine_memory import measure_memory
    from benchmarks.bench_engine_throughput import measure_throughput

    small, large = load.memory_samples
    return {
        "throughput": lambda site: measure_throughput(
            site, waves=load.waves, rounds=load.rounds, say=say
        ),
        "faults": lambda site: measure_faults(site, num_samples=load.fault_samples, say=say),
        "kills": lambda site: measure_kills(site, kills=load.kills, say=say),
        "budget": lambda site: measure_budget(site, runs=load.budget_runs, say=say),
        "storm": lambda site: measure_storm(site, seconds=load.storm_seconds, say=say),
        "memory": lambda site: measure_memory(site, small=small, large=large, say=say),
    }


def _attempt(site: Site, name: str, part: Callable[[Site], Measured]) -> Measured:
    """Measure one part; one that breaks off does not take the others' figures with it."""
    try:
        return part(site)
    except Exception as error:  # noqa: BLE001 - it is printed, and ends in the exit code
        traceback.print_exc()
        return {"errors": f"{name}: {error}"}


def _verdict(figures: Measured, key: str) -> str:
    value = figures[key]
    sign, target = TARGETS.get(key, ("", ""))
    bound = figures.get(target) if isinstance(target, str) else target
    if not sign or bound is None:
        return f"  {key:<28} {value}"
    met = value is not None and (value <= bound if sign == "<=" else value >= bound)
    return f"  {key:<28} {value!s:<12} {'achieved' if met else 'MISSED'} ({sign} {target})"


if __name__ == "__main__":
    main()
