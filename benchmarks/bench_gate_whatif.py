"""What-if and the whole export in figures, over a site in a real database.

A small site is built, the snapshot of its largest dataset taken, and that repeated until it has the
rows that are wanted: what-if reads nothing else, but for the twenty examples that it shows.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlencode

import polars as pl

from benchmarks.engine_site import Measured
from benchmarks.served_site import Browser, log_in, new_folder, percentile, prepare, serve

_DATASET = "papers"


def measure_whatif(
    *, samples: int, rows: Sequence[int], questions: int, say: Callable[[str], None]
) -> Measured:
    """What-if over snapshots of so many rows, asked over HTTP; and an export from the tables."""
    folder = new_folder()
    prepare(folder)
    from benchmarks.large_site import build_site

    began = time.perf_counter()
    build_site(samples)
    say(f"site of {samples:,} samples built in {time.perf_counter() - began:.0f} s")
    figures = _measure_export() | _measure_snapshot()
    for size in rows:
        name = f"{size // 1_000_000}m" if size >= 1_000_000 else f"{size // 1_000}k"
        path = _enlarge(size)
        say(f"snapshot of {size:,} rows: {path.stat().st_size / 1e6:.0f} MB")
        figures |= _measure_evaluation(name, questions)
        with serve(folder) as port:
            figures |= _measure_page(name, port, questions)
        say(f"what-if over {size:,}: {figures}")
    return figures


def _measure_export() -> Measured:
    """From the database to files, all configs, screening included."""
    from distill.models import Dataset
    from distill.services.export import export_dataset

    dataset = Dataset.objects.get(name=_DATASET)
    dataset.exports.all().delete()
    began = time.perf_counter()
    export = export_dataset(dataset=dataset, policy="gate", configs=("messages",))
    seconds = time.perf_counter() - began
    num_rows = export.manifest["counts"]["total"]
    return {
        "export_end_to_end_rows": num_rows,
        "export_end_to_end_rows_per_s": round(num_rows / seconds),
    }


def _measure_snapshot() -> Measured:
    from distill.models import Dataset
    from distill.services.snapshots import take_snapshot

    began = time.perf_counter()
    num_rows = take_snapshot(dataset=Dataset.objects.get(name=_DATASET))
    return {"snapshot_rows_per_s": round(num_rows / (time.perf_counter() - began))}


def _enlarge(rows: int) -> Path:
    """Write the snapshot's rows over and over, until there are so many."""
    from distill.models import Dataset
    from distill.queries.snapshot import snapshot_path

    path = snapshot_path(Dataset.objects.get(name=_DATASET))
    metadata = pl.read_parquet_metadata(path)
    frame = pl.read_parquet(path, memory_map=False)
    whole = pl.concat([frame] * (rows // len(frame) + 1)).head(rows)
    # Not in stretches that the file could say in one number.
    whole = whole.sample(fraction=1, shuffle=True, seed=0)
    whole.write_parquet(path, metadata={"marks": metadata["marks"]})
    return path


def _measure_evaluation(name: str, questions: int) -> Measured:
    """What-if by itself, in this process: the part of the page that grows with the rows."""
    from distill.logic.gate import GateConfig
    from distill.logic.recipe import default_recipe
    from distill.logic.rules import RulesConfig
    from distill.logic.what_if import Settings, evaluate
    from distill.models import Dataset
    from distill.queries.snapshot import load_snapshot

    dataset = Dataset.objects.get(name=_DATASET)
    began = time.perf_counter()
    snapshot = load_snapshot(dataset)
    loading = time.perf_counter() - began
    if snapshot is None:
        raise RuntimeError("the snapshot is gone")
    times = []
    panel = Settings.of(default_recipe()).panel
    for min_mean, min_chars in _moves(questions):
        settings = Settings(RulesConfig(min_chars=min_chars), GateConfig(min_mean=min_mean), panel)
        began = time.perf_counter()
        evaluate(snapshot.frame, settings)
        times.append(time.perf_counter() - began)
    return {
        f"whatif_load_ms_{name}": round(1000 * loading, 1),
        f"whatif_evaluate_p50_ms_{name}": percentile(times, 50),
        f"whatif_evaluate_p95_ms_{name}": percentile(times, 95),
    }


def _measure_page(name: str, port: int, questions: int) -> Measured:
    """The page's own fragment, from a server that has just been started."""
    browser = log_in(port)["lead"]
    first = _ask(browser, 0.8, 120)
    # The other worker process reads the snapshot too, and threads connect.
    for min_mean, min_chars in _moves(20):
        _ask(browser, min_mean, min_chars)
    times = [_ask(browser, min_mean, min_chars) for min_mean, min_chars in _moves(questions)]
    healthz = []
    for _number in range(20):
        browser.get("/healthz")
        healthz.append(browser.seconds)
    first_key = "whatif_first_ms" if name == "100k" else f"whatif_first_ms_{name}"
    return {
        f"whatif_p50_ms_{name}": percentile(times, 50),
        f"whatif_p95_ms_{name}": percentile(times, 95),
        first_key: round(1000 * first, 1),
        f"whatif_to_healthz_{name}": round(
            statistics.median(times) / statistics.median(healthz), 1
        ),
    }


def _moves(count: int) -> list[tuple[float, int]]:
    """Thresholds as somebody moves them, no two alike."""
    rng = random.Random("what-if")
    return [(round(rng.uniform(0.5, 0.95), 4), rng.randint(50, 400)) for _ in range(count)]


def _ask(browser: Browser, min_mean: float, min_chars: int) -> float:
    fields = {"min_mean": str(min_mean), "min_chars": str(min_chars)}
    browser.get(f"/datasets/1/gate/?{urlencode(fields)}", target="outcome")
    return browser.seconds
