"""Memory: the most that a worker ever needs, over a small and over a large run."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.engine_checks import check_places
from benchmarks.engine_site import (
    Measured,
    Site,
    a_worker,
    make_dataset,
    make_run,
    recipe_content,
)
from benchmarks.stub_door import running_stub

_SLOTS = 256


def measure_memory(site: Site, *, small: int, large: int, say: Callable[[str], None]) -> Measured:
    """Peak MB of a fresh worker over `small` and over `large` samples."""
    figures: Measured = {}
    for name, num_samples in (("peak_mb_10k", small), ("peak_mb_100k", large)):
        measured = _measure(site, num_samples)
        figures[name] = round(measured["peak_mb"])
        say(
            f"memory: {num_samples:,} samples in {measured['seconds']:.0f} s "
            f"({num_samples / measured['seconds']:.0f}/s), peak {measured['peak_mb']:.0f} MB"
        )
    ratio = round(figures["peak_mb_100k"] / figures["peak_mb_10k"], 3)
    return {**figures, "memory_ratio": ratio, "memory_samples": [small, large]}


def _measure(site: Site, num_samples: int) -> Measured:
    with running_stub() as stub, a_worker(site) as worker:
        stub.set(latency=0.1)
        content = recipe_content(stub.teacher("memory"), slots=_SLOTS)
        run = make_run(make_dataset(site, f"memory{num_samples}", num_samples), content)
        worker.tell(run=run.id)
        measured = worker.hear()
    places = check_places(run, num_samples)
    if measured["state"] != "done" or places["misplaced"]:
        raise RuntimeError(f"the run ended as {measured}, {places}")
    return measured
