"""The gate and the export in figures: rules, duplicates, what-if, the writer.

    python -m benchmarks.bench_gate                     everything, about fifteen minutes
    QUICK=1 python -m benchmarks.bench_gate             the same figures from smaller loads, five
    python -m benchmarks.bench_gate --only rules,duplicates

Texts are generated, with the statistics of real abstracts (`gate_corpus`). What is compared is
measured in turns within one run: ratios hold, absolutes are the machine's. The last line is one
JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.bench_gate_duplicates import measure_duplicates
from benchmarks.bench_gate_export import measure_export
from benchmarks.bench_gate_rules import measure_rules
from benchmarks.bench_gate_whatif import measure_whatif
from benchmarks.engine_site import Measured

Part = Callable[[], Measured]


@dataclass(frozen=True, slots=True)
class Load:
    """How much each part does."""

    rules_rows: int
    duplicates_rows: int
    export_rows: int
    site_samples: int
    whatif_rows: tuple[int, ...]
    questions: int
    rounds: int


FULL = Load(200_000, 100_000, 100_000, 40_000, (100_000,), 100, 3)
QUICK = Load(12_000, 10_000, 20_000, 8_000, (100_000,), 40, 2)
SOAK = Load(200_000, 100_000, 1_000_000, 40_000, (100_000, 1_000_000), 100, 3)

PARTS = ("rules", "duplicates", "whatif", "export")
TARGETS = {
    "rules_ratio": (">=", 10),
    "duplicates_ratio": (">=", 0.8),
    "duplicates_recall": (">=", 0.99),
    "duplicates_precision": (">=", 0.99),
    "whatif_p95_ms_100k": ("<=", 200),
    "export_same_bytes": (">=", True),
    "rules_memory_ratio": ("<=", 1.2),
    "export_memory_ratio": ("<=", 1.2),
}
"""What was promised; figures are set beside it, and nothing fails where they fall short."""


def main() -> None:
    """Measure the parts that were asked for; print them, and one JSON object last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas")
    parser.add_argument("--soak", action="store_true", help="a million rows for export and what-if")
    options = parser.parse_args()
    chosen = options.only.split(",")
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    parts = _parts(SOAK if options.soak else QUICK if os.environ.get("QUICK") else FULL)
    figures: Measured = {}
    for name in chosen:
        say(f"--- {name}")
        figures |= _attempt(name, parts[name])
    for key in figures:
        say(_verdict(figures, key))
    say(json.dumps(figures))
    sys.exit("errors" in figures)


def say(line: str) -> None:
    print(line, flush=True)


def _parts(load: Load) -> dict[str, Part]:
    return {
        "rules": lambda: measure_rules(rows=load.rules_rows, rounds=load.rounds, say=say),
        "duplicates": lambda: measure_duplicates(
            rows=load.duplicates_rows, rounds=load.rounds, say=say
        ),
        "whatif": lambda: measure_whatif(
            samples=load.site_samples, rows=load.whatif_rows, questions=load.questions, say=say
        ),
        "export": lambda: measure_export(rows=load.export_rows, rounds=load.rounds, say=say),
    }


def _attempt(name: str, part: Part) -> Measured:
    """Measure one part; one that breaks off does not take the others' figures with it."""
    try:
        return part()
    except Exception as error:  # noqa: BLE001 - it is printed, and ends in the exit code
        traceback.print_exc()
        return {"errors": f"{name}: {error}"}


def _verdict(figures: Measured, key: str) -> str:
    value = figures[key]
    sign, target = TARGETS.get(key, ("", None))
    if target is None:
        return f"  {key:<34} {value}"
    met = value is not None and (value <= target if sign == "<=" else value >= target)
    return f"  {key:<34} {value!s:<12} {'achieved' if met else 'MISSED'} ({sign} {target})"


if __name__ == "__main__":
    main()
