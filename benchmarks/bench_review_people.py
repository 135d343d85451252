"""Fifty people at one queue, by HTTP: how long a claim and a decision take, and that nothing clashes."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from benchmarks.bench_pages import card_fields
from benchmarks.engine_site import Measured
from benchmarks.review_site import build_review_site, come_in
from benchmarks.served_site import Browser, new_folder, percentile, prepare, serve

HAND = {"hand": "3"}


@dataclass(slots=True)
class Seen:
    """Seconds of each claim and of each decision, over all people."""

    leases: list[float] = field(default_factory=list)
    decisions: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, times: list[float], seconds: float) -> None:
        with self.lock:
            times.append(seconds)


def measure_people(
    *, completions: int, people: int, seconds: float, pause: float, say: Callable[[str], None]
) -> Measured:
    """With pauses between decisions, then without; a tenth of the people leave in the middle."""
    folder = new_folder()
    prepare(folder)
    began = time.perf_counter()
    queue_id = build_review_site(completions, people, say)
    say(f"queue over {completions:,} completions in {time.perf_counter() - began:.0f} s")
    with serve(folder) as port:
        browsers = [come_in(port, f"person{number}") for number in range(people)]
        for browser in browsers[:4]:
            _work(browser, queue_id, Seen(), seconds=2, pause=0, dies=False)
        paced = Seen()
        _together(browsers, queue_id, paced, seconds=seconds, pause=pause)
        rushed = Seen()
        began = time.perf_counter()
        _together(browsers, queue_id, rushed, seconds=min(seconds, 20), pause=0)
        spent = time.perf_counter() - began
    return {
        "review_completions": completions,
        "review_people": people,
        "lease_p50_ms": percentile(paced.leases, 50),
        "lease_p95_ms": percentile(paced.leases, 95),
        "decision_p50_ms": percentile(paced.decisions, 50),
        "decision_p95_ms": percentile(paced.decisions, 95),
        "decisions_paced": len(paced.decisions),
        "decisions_per_s": round(len(rushed.decisions) / spent, 1),
        **_check(),
    }


def _together(
    browsers: list[Browser], queue_id: int, seen: Seen, *, seconds: float, pause: float
) -> None:
    """Everybody at once; every tenth leaves with cards in hand, and nobody is told."""
    with ThreadPoolExecutor(len(browsers)) as pool:
        work = [
            pool.submit(
                _work, one, queue_id, seen, seconds=seconds, pause=pause, dies=number % 10 == 9
            )
            for number, one in enumerate(browsers)
        ]
        for one in work:
            one.result()


def _work(
    browser: Browser, queue_id: int, seen: Seen, *, seconds: float, pause: float, dies: bool
) -> None:
    chance = random.Random(browser.cookies["sessionid"])
    until = time.monotonic() + seconds * (chance.random() if dies else 1)
    time.sleep(chance.random() * pause)
    page = browser.post(f"/review/{queue_id}/claim/", HAND, target="lane")
    seen.note(seen.leases, browser.seconds)
    hand = _cards(page)
    while time.monotonic() < until and hand:
        time.sleep(pause)
        card = hand.pop(0)
        have = " ".join(one["slot"] for one in hand)
        said = {"kind": "accept", "active_ms": "3000", "have": have, **HAND}
        page = browser.post(f"/review/{queue_id}/decide/", {**card, **said}, target="lane")
        seen.note(seen.decisions, browser.seconds)
        hand += _cards(page)


def _cards(page: str) -> list[dict[str, str]]:
    return [card_fields(part) for part in page.split("<article")[1:] if "data-slot" in part]


def _check() -> Measured:
    """What must not have happened: two people given one review, more reviews than wanted."""
    from django.db.models import Count, F

    from distill.models import Decision
    from review.models import Slot

    decided = Decision.objects.values("completion").annotate(num=Count("reviewer", distinct=True))
    done = Slot.objects.filter(state="done").values("queue", "completion")
    over = done.annotate(num=Count("id"), wanted=F("required_reviews")).filter(num__gt=F("wanted"))
    return {
        "double_claims": decided.filter(num__gt=1).count(),
        "over_reviewed": over.count(),
        "decisions_stored": Decision.objects.count(),
        "slots_done": Slot.objects.filter(state="done").count(),
    }
