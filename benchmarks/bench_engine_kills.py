"""`kill -9` of a worker, of everything, and of PostgreSQL, at random moments of one run."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from benchmarks.engine_checks import (
    check_places,
    missing_keys,
    open_purchases,
    shown_possibly_billed,
    stored_replies,
)
from benchmarks.engine_crew import Crew, a_crew, kill_postgres, kill_tree, kill_worker
from benchmarks.engine_site import Measured, Site, make_dataset, make_run, recipe_content
from benchmarks.stub_door import running_stub
from distill.models import Run
from distill.services.runs import resume_run

VICTIMS = ("worker", "tree", "postgres")
_SLOTS = 64
_PATIENCE_SECONDS = 120.0


class Kills:
    """One run that two workers share, and what each kill did to it."""

    def __init__(self, site: Site, crew: Crew, run_id: int, *, seed: int) -> None:
        self._site, self._crew, self._run_id = site, crew, run_id
        self._rng = random.Random(seed)
        self.in_flight: set[int] = set()
        self.lost_stored = 0
        self.resumed = self.refused_starts = 0

    def strike(self, victim: str) -> None:
        """Kill at a random moment of the work; see what is stored, and what was in flight."""
        self._wait_for_replies()
        pause = self._rng.uniform(0.05, 1.2)
        self._work_for(pause)
        before = stored_replies(self._run_id)
        pids: set[int] | None = None
        if victim == "worker":
            pids = kill_worker(self._crew, self._rng.randrange(len(self._crew.workers)))
            time.sleep(0.1)  # its connection may still commit what it had sent
        elif victim == "tree":
            kill_tree(self._site, self._crew)
        else:
            kill_postgres(self._site)
        self.refused_starts += self._site.attach()
        self.in_flight |= open_purchases(self._run_id, pids)
        after = stored_replies(self._run_id)
        self.lost_stored += sum(after.get(key) != value for key, value in before.items())

    @property
    def said(self) -> list[str]:
        """What the workers that did not end well have said, each once."""
        return sorted({error[:120] for error in self._crew.broken})

    def finish(self) -> None:
        """Work on until the run has ended; one that a crash has failed is resumed."""
        last, until = -1, time.monotonic() + _PATIENCE_SECONDS
        while self._is_active():
            self._crew.keep_at_work(self._run_id)
            time.sleep(0.1)
            if (now := len(stored_replies(self._run_id))) != last:
                last, until = now, time.monotonic() + _PATIENCE_SECONDS
            if time.monotonic() > until:
                raise RuntimeError(f"the run stands still; workers said {self._crew.broken[-3:]}")
        self._crew.finish()

    def _wait_for_replies(self) -> None:
        """Until replies are stored again after the last kill."""
        before = len(stored_replies(self._run_id))
        until = time.monotonic() + _PATIENCE_SECONDS
        while len(stored_replies(self._run_id)) <= before:
            if not self._is_active():
                raise RuntimeError("the run ended before all kills: give it more samples")
            self._crew.keep_at_work(self._run_id)
            if time.monotonic() > until:
                raise RuntimeError(f"no reply is stored; workers said {self._crew.broken[-3:]}")
            time.sleep(0.05)

    def _work_for(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._crew.keep_at_work(self._run_id)
            time.sleep(0.02)

    def _is_active(self) -> bool:
        run = Run.objects.get(id=self._run_id)
        if run.state in {Run.State.FAILED, Run.State.STOPPED} and resume_run(run_id=run.id):
            self.resumed += 1
            return True
        return run.is_active


def measure_kills(site: Site, *, kills: int, say: Callable[[str], None]) -> Measured:
    """Kill so often, then finish; what was paid is counted on the server by request key."""
    num_samples = 150 * kills + 600
    with running_stub() as stub, a_crew(site, 2) as crew:
        stub.set(latency=0.5)
        content = recipe_content(stub.teacher("kills"), slots=_SLOTS)
        run = make_run(make_dataset(site, "kills", num_samples), content)
        Run.objects.filter(id=run.id).update(workers=2)
        kill = Kills(site, crew, run.id, seed=kills)
        victims = [VICTIMS[number % len(VICTIMS)] for number in range(kills)]
        random.Random(kills).shuffle(victims)
        began = time.monotonic()
        for victim in victims:
            kill.strike(victim)
        kill.finish()
        say(f"kills: {kills} in {time.monotonic() - began:.0f} s, resumed {kill.resumed} times")
        # What was in service when its client was killed is paid for a moment later.
        time.sleep(1.0)
        stats, keys = stub.stats(), stub.keys()
    run.refresh_from_db()
    places, shown = check_places(run, num_samples), shown_possibly_billed(run)
    say(f"  {kill.refused_starts} starts of the database were refused at first")
    say(f"  {run.state}; {places}; workers said {kill.said}")
    say(
        f"  asked {stats['requests']}, paid {stats['paid']} for {stats['keys_paid']} requests; "
        f"possibly billed: {shown} shown, {len(open_purchases(run.id))} without a reply"
    )
    return {
        "lost_after_kills": kill.lost_stored + places["misplaced"] + missing_keys(run, keys),
        "bought_twice": stats["bought_twice"],
        "in_flight_at_kills": len(kill.in_flight),
        "possibly_billed": shown,
        "duplicated_after_kills": places["doubled"],
    }
