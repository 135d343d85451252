"""Faults and storms: a teacher that misbehaves, and one that says 429 to everybody for a while."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.cpu import process_cpu_seconds
from benchmarks.engine_checks import check_places, missing_keys, shown_possibly_billed
from benchmarks.engine_site import (
    Measured,
    Site,
    a_worker,
    make_dataset,
    make_run,
    recipe_content,
)
from benchmarks.stub_door import StubDoor, running_stub
from distill.models import SampleDraw
from distill.services.runs import request_stop

SHARES = {
    "rate_limited": 0.05,
    "server": 0.02,
    "reset": 0.01,
    "broken": 0.01,
    "hanging": 0.01,
    "truncated": 0.01,
}
_SLOTS = 256
_STEADY_SECONDS = 8.0
_BIN_SECONDS = 0.5


def measure_faults(site: Site, *, num_samples: int, say: Callable[[str], None]) -> Measured:
    """One run over a teacher with the faults of SHARES; every sample must end in its place."""
    with running_stub() as stub, a_worker(site) as worker:
        stub.set(latency=0.3, retry_after=1.0, **SHARES)
        content = recipe_content(
            stub.teacher("faults"),
            slots=_SLOTS,
            retry={"base_seconds": 0.3},
            deadlines={"connect_seconds": 2, "first_byte_seconds": 2, "total_seconds": 3},
        )
        run = make_run(make_dataset(site, "faults", num_samples), content)
        worker.tell(run=run.id)
        told = worker.hear()
        stats, keys = stub.stats(), stub.keys()
    run.refresh_from_db()
    places = check_places(run, num_samples)
    dealt = {name: stats.get(name, 0) for name in SHARES}
    say(f"faults: {run.state} after {told['seconds']:.1f} s; dealt {dealt}")
    say(f"  {places}; possibly billed {shown_possibly_billed(run)}; paid {stats['paid']}")
    return {
        "lost": places["misplaced"] + missing_keys(run, keys),
        "duplicated": places["doubled"] + stats["good_twice"],
        "faults_failed": sum(places["failed"].values()),
        "faults_dealt": sum(dealt.values()),
        "faults_state": run.state,
    }


def measure_storm(site: Site, *, seconds: float, say: Callable[[str], None]) -> Measured:
    """Nothing but 429 for so long, in the middle of a run; then how soon replies flow again.

    `recovery_s` ends with the first half second in which replies came at half the old rate.
    """
    num_samples = _SLOTS * int(2 * _STEADY_SECONDS + 12)
    with running_stub() as stub, a_worker(site) as worker:
        stub.set(latency=1.0, retry_after=None)
        content = recipe_content(stub.teacher("storm"), slots=_SLOTS)
        run = make_run(make_dataset(site, "storm", num_samples), content)
        worker.tell(run=run.id)
        _wait_for(stub, replies=_SLOTS)
        time.sleep(_STEADY_SECONDS)
        cpu = process_cpu_seconds(worker.pid)
        began = stub.set(storm_seconds=seconds)
        time.sleep(seconds)
        # What was in service when it began has been answered meanwhile.
        cpu = process_cpu_seconds(worker.pid) - cpu
        time.sleep(_STEADY_SECONDS)
        times = stub.times()
        failed = _stop_and_count_failed(run.id)
        worker.hear()
    ended = began + seconds
    old_rate = _rate(times["replied"], began - 4, began)
    recovery = _recovery(times["replied"], ended, old_rate)
    say(
        f"storm: {seconds:.0f} s of 429: {len(times['refused'])} requests, worker's CPU "
        f"{cpu:.2f} s; {old_rate:.0f} replies/s before; half of it again after {recovery} s; "
        f"{failed} samples failed"
    )
    return {
        "recovery_s": recovery,
        "storm_requests_per_s": round(len(times["refused"]) / seconds, 2),
        "storm_cpu_share": round(cpu / seconds, 3),
        "storm_failed": failed,
    }


def _wait_for(stub: StubDoor, *, replies: int, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while stub.stats()["good"] < replies:
        if time.monotonic() > until:
            raise RuntimeError(f"no {replies} replies within {seconds:.0f} s: {stub.stats()}")
        time.sleep(0.1)


def _stop_and_count_failed(run_id: int) -> int:
    request_stop(run_id=run_id)
    return SampleDraw.objects.filter(run=run_id, state=SampleDraw.State.FAILED).count()


def _rate(times: list[float], begin: float, end: float) -> float:
    return sum(begin <= at < end for at in times) / (end - begin)


def _recovery(times: list[float], ended: float, old_rate: float) -> float | None:
    """Seconds until replies flowed at half the old rate; None where they did not in time."""
    later = [at for at in times if at >= ended]
    for at in later:
        if _rate(later, at - _BIN_SECONDS, at + 1e-9) >= old_rate / 2:
            return round(at - ended, 2)
    return None
