"""Throughput: replies a second, CPU a sample, against two clients that store nothing."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.cpu import machine_cpu_seconds, other_cores
from benchmarks.engine_site import (
    ROOT,
    Measured,
    Site,
    a_worker,
    make_dataset,
    make_run,
    recipe_content,
    write_bodies,
)
from benchmarks.stub_door import StubDoor, occupancy, running_stub

LATENCY = 1.0
THREADS = 256


@dataclass(frozen=True, slots=True)
class Leg:
    """One client with so many slots; a round goes through all legs."""

    client: str
    slots: int

    @property
    def name(self) -> str:
        return f"{self.client}_{self.slots}"


LEGS = (
    Leg("raw", 256),
    Leg("durable", 256),
    Leg("threadpool", THREADS),
    Leg("transport", 1024),
    Leg("raw", 1024),
    Leg("durable", 1024),
)


def measure_throughput(
    site: Site, *, waves: int, rounds: int, say: Callable[[str], None]
) -> Measured:
    """Go through all legs in every round; medians over the rounds."""
    found: dict[str, list[Measured]] = {leg.name: [] for leg in LEGS}
    say(
        f"{'client':<16}{'/s':>7}{'steady':>9}{'all':>7}{'CPU ms':>8}{'PG ms':>7}{'MB':>6}{'other':>7}"
    )
    with running_stub() as stub:
        stub.set(latency=LATENCY)
        for number in range(rounds):
            for leg in LEGS:
                measured = _measure(site, stub, leg, f"{leg.client}{leg.slots}r{number}", waves)
                found[leg.name].append(measured)
                say(_line(leg, measured))
        # What binds: one more round, looked at; its own figures are not used.
        deep = _measure(site, stub, LEGS[-1], "profile", max(4, waves // 3), deep=True)
    for line in _profile_lines(deep):
        say(line)
    return _figures(found)


def _profile_lines(measured: Measured) -> Iterator[str]:
    """CPU ms a sample by thread: our functions with all they call, any function by itself."""
    for thread, seconds in measured["threads"].items():
        yield f"profile of {thread}: {1000 * seconds / measured['samples']:.3f} ms a sample"
        found = measured["profile"].get(thread, {"own": [], "with_callees": []})
        ours = [row for row in found["with_callees"] if row[0].startswith("distill/")]
        for title, rows in (("with what it calls", ours), ("by itself", found["own"])):
            for name, used in rows[:12]:
                yield f"    {1000 * used / measured['samples']:.3f} {title}: {name}"


def _measure(
    site: Site, stub: StubDoor, leg: Leg, name: str, waves: int, *, deep: bool = False
) -> Measured:
    num_samples = leg.slots * waves
    content = recipe_content(stub.teacher(name), slots=leg.slots)
    dataset = make_dataset(site, name, num_samples)
    if leg.client == "durable":
        run = make_run(dataset, content)

        def measure() -> Measured:
            return _run_durable(site, stub, run.id, deep=deep)

    else:
        bodies = site.folder / "bodies"
        write_bodies(site, dataset, content, bodies)

        def measure() -> Measured:
            return _run_client(leg, stub, bodies, content.teacher.name)

    began, machine, of_postgres = time.monotonic(), machine_cpu_seconds(), site.postgres_cpu()
    measured = measure()
    stats = stub.stats()
    if stats["good"] != num_samples or stats["keys"] != num_samples:
        raise RuntimeError(f"{name}: {num_samples} were to be asked, the server says {stats}")
    steady, over_all = occupancy(stub.times(), slots=leg.slots, latency=LATENCY)
    of_postgres = site.postgres_cpu() - of_postgres
    own = measured["cpu_s"] + of_postgres + stats["cpu_s"]
    return {
        **measured,
        "samples": num_samples,
        "occupancy": steady,
        "occupancy_all": over_all,
        "per_s": steady * leg.slots / LATENCY,
        "cpu_ms": 1000 * measured["cpu_s"] / num_samples,
        "postgres_cpu_ms": 1000 * of_postgres / num_samples,
        "stub_cpu_us": 1e6 * stats["cpu_s"] / num_samples,
        "other": other_cores(began, machine, own),
    }


def _run_durable(site: Site, stub: StubDoor, run_id: int, *, deep: bool) -> Measured:
    """Let a worker that is warm (imports done, connections made) work on the run."""
    with a_worker(site) as worker:
        warm = recipe_content(stub.teacher("warm"), slots=64)
        worker.tell(run=make_run(make_dataset(site, f"warm{run_id}", 64), warm).id)
        _done(worker.hear())
        stub.reset()
        worker.tell(run=run_id, deep=deep)
        return _done(worker.hear())


def _done(measured: Measured) -> Measured:
    if measured["state"] != "done":
        raise RuntimeError(f"a run ended as {measured}")
    return measured


def _run_client(leg: Leg, stub: StubDoor, bodies: Path, teacher: str) -> Measured:
    base_url = stub.base_url
    program, where = {
        "raw": ("raw_client", f"{base_url}/chat/completions"),
        "threadpool": ("threadpool_client", base_url),
        "transport": ("transport_client", teacher),
    }[leg.client]
    argv = [sys.executable, "-m", f"benchmarks.{program}", where, str(bodies), str(leg.slots)]
    stub.reset()
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(done.stderr)
    measured: Measured = json.loads(done.stdout.splitlines()[-1])
    return measured


def _line(leg: Leg, measured: Measured) -> str:
    threads = {name: used for name, used in measured.get("threads", {}).items() if used >= 0.05}
    return (
        f"{leg.name:<16}{measured['per_s']:7.0f}{measured['occupancy']:9.3f}"
        f"{measured['occupancy_all']:7.3f}{measured['cpu_ms']:8.2f}"
        f"{measured['postgres_cpu_ms']:7.2f}{measured['peak_mb']:6.0f}{measured['other']:7.2f}"
        f"  {threads or ''}"
    )


def _figures(found: dict[str, list[Measured]]) -> Measured:
    def middle(leg: str, value: str) -> float:
        return float(statistics.median(measured[value] for measured in found[leg]))

    def ratio(leg: str, to: str) -> float:
        # Round by round: what else the machine did fell on both of a pair.
        pairs = zip(found[leg], found[to], strict=True)
        return float(statistics.median(one["per_s"] / other["per_s"] for one, other in pairs))

    threadpool = f"threadpool_{THREADS}"
    figures: dict[str, Any] = {
        "occupancy_256": middle("durable_256", "occupancy"),
        "occupancy_256_with_ramp": middle("durable_256", "occupancy_all"),
        "occupancy_1024": middle("durable_1024", "occupancy"),
        "occupancy_1024_with_ramp": middle("durable_1024", "occupancy_all"),
        "ratio_to_raw_256": ratio("durable_256", "raw_256"),
        "ratio_to_raw_1024": ratio("durable_1024", "raw_1024"),
        "raw_occupancy_256": middle("raw_256", "occupancy"),
        "raw_occupancy_1024": middle("raw_1024", "occupancy"),
        "cpu_ms_raw": middle("raw_1024", "cpu_ms"),
        "cpu_ms_transport": middle("transport_1024", "cpu_ms"),
        "cpu_ms_durable": middle("durable_1024", "cpu_ms"),
        "cpu_ms_durable_256": middle("durable_256", "cpu_ms"),
        "cpu_ms_threadpool": middle(threadpool, "cpu_ms"),
        "cpu_ms_postgres": middle("durable_1024", "postgres_cpu_ms"),
        "ratio_vs_threadpool": ratio("durable_1024", threadpool),
        "ratio_vs_threadpool_256": ratio("durable_256", threadpool),
        "samples_per_s_256": middle("durable_256", "per_s"),
        "samples_per_s_1024": middle("durable_1024", "per_s"),
        "samples_per_s_threadpool": middle(threadpool, "per_s"),
        "stub_cpu_us": middle("durable_1024", "stub_cpu_us"),
    }
    threads = found["durable_1024"][-1]["threads"]
    total = sum(threads.values()) or 1.0
    return {
        **{name: round(value, 3) for name, value in figures.items()},
        "cpu_share_by_thread": {name: round(used / total, 2) for name, used in threads.items()},
    }
