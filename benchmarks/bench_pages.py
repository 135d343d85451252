"""How fast the pages are over a large site.

    python -m benchmarks.bench_pages          100,000 samples
    QUICK=1 python -m benchmarks.bench_pages  10,000 samples

Fills a throw-away embedded PostgreSQL, serves it with the Procfile's gunicorn on a free port, logs
in as people of several roles, and asks for every page 30 times: by one client, page after page in
rounds, then the main ones by eight at once. The last line is one JSON object; `pages_p95_ms` is
over all requests of the single client, `to_healthz` how many times the median page takes what
`/healthz` takes in the same run (machines are noisy), `queries` of a page are counted apart.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from benchmarks.served_site import Browser, log_in, new_folder, percentile, prepare, serve

NUM_SAMPLES = 10_000 if os.environ.get("QUICK") else 100_000
NUM_ROUNDS = 30
NUM_CLIENTS = 8
NUM_CONCURRENT_ROUNDS = 4
QUEUE = "/review/2/"

Times = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Page:
    """One address, who asks for it, and the fragment that they ask for."""

    name: str
    path: str
    who: str = "lead"
    target: str = ""
    is_main: bool = False


def _found(name: str, *, is_main: bool = False, **filters: object) -> Page:
    return Page(f"completions_{name}", f"/completions/?{urlencode(filters)}", is_main=is_main)


# Runs 1 (ended) and 2 (going on), datasets and queues are those of large_site.sql.
PAGES = (
    Page("home", "/", "operator", is_main=True),
    Page("home_reviewer", "/", "reviewer1"),
    Page("home_poll", "/", "operator", "home-runs"),
    Page("datasets", "/datasets/", is_main=True),
    Page("dataset", "/datasets/1/", is_main=True),
    Page("dataset_search", "/datasets/1/?text=zyzzyva", target="samples"),
    Page("dataset_delete", "/datasets/1/delete/", "operator"),
    Page("upload", "/datasets/upload/", "operator"),
    Page("runs", "/runs/", is_main=True),
    Page("runs_poll", "/runs/", target="run-list"),
    Page("run_ended", "/runs/1/"),
    Page("run_going_on", "/runs/2/", is_main=True),
    Page("run_live_poll", "/runs/2/", target="run-live", is_main=True),
    Page("run_waterfall_poll", "/runs/2/", target="run-waterfall"),
    Page("run_log_poll", "/runs/2/", target="run-log"),
    Page("start_run", "/runs/start/?dataset=3", "operator"),
    _found("all", is_main=True),
    _found("deep", after=NUM_SAMPLES // 4),
    _found("rejected", dataset="papers", state="rejected", is_main=True),
    _found("reason", dataset="papers", reason="citation"),
    _found("reason_all", reason="citation"),
    _found("people_reason", reason="not_falsifiable"),
    _found("accepted", label="accepted"),
    _found("undecided", dataset="papers", state="passed", label="none"),
    _found("run_rejected", run=1, state="rejected", reason="low_score"),
    _found("run_failed", run=2, state="failed"),
    _found("domain", dataset="papers", domain="biology"),
    _found("rare_domain", domain="astrobotany"),
    _found("stage", stage="judge"),
    _found("text", dataset="papers", text="zyzzyva"),
    Page("completion", "/completions/1/", is_main=True),
    Page("exports", "/exports/", is_main=True),
    Page("export_preview_gate", "/exports/?dataset=papers&policy=gate", target="preview"),
    Page("export_preview_reviewed", "/exports/?dataset=papers&policy=reviewed", target="preview"),
    Page("export", "/exports/2/"),
    Page("recipes", "/recipes/"),
    Page("recipe", "/recipes/recipe-a/2/"),
    Page("new_recipe", "/recipes/new/", "operator"),
    Page("queues", "/review/", "reviewer1", is_main=True),
    Page("queue", QUEUE, "reviewer1", is_main=True),
    Page("queue_empty", "/review/1/", "reviewer2", "card"),
    Page("admin", "/admin/", "admin"),
    Page("admin_completions", "/admin/distill/completion/", "admin"),
    Page("admin_samples", "/admin/distill/sample/", "admin"),
    Page("admin_datasets", "/admin/distill/dataset/", "admin"),
)


def main() -> None:
    """Build, serve, measure, print; whatever was started is stopped, however that ends."""
    print(json.dumps(_measure(new_folder())))


def _measure(data: Path) -> dict[str, object]:
    start = time.perf_counter()
    prepare(data)
    from benchmarks.large_site import build_site

    rows = build_site(NUM_SAMPLES)
    _say(f"built in {time.perf_counter() - start:.0f} s: {rows}")
    queries = {page.name: _count_queries(page) for page in PAGES}
    with serve(data) as port:
        browsers = log_in(port)
        # Both workers and their threads compile their templates and connect.
        _ask_together(port, browsers, PAGES, num_rounds=1)
        healthz, single = _ask_alone(port, browsers)
        together = _ask_together(
            port, browsers, [page for page in PAGES if page.is_main], NUM_CONCURRENT_ROUNDS
        )
    by_page = {name: _summary(times) for name, times in single.items()}
    for name, summary in sorted(by_page.items(), key=lambda item: -item[1]["p95_ms"]):
        _say(f"{name:28} {summary}  {queries.get(name, '')} queries")
    everything = _all(single)
    return {
        "rows": rows,
        "pages_p95_ms": percentile(everything, 95),
        "pages_p50_ms": percentile(everything, 50),
        "healthz_p50_ms": percentile(healthz, 50),
        "to_healthz": round(statistics.median(everything) / statistics.median(healthz), 1),
        "concurrent_p95_ms": percentile(_all(together), 95),
        "by_page": {
            name: summary | {"queries": queries[name]} if name in queries else summary
            for name, summary in by_page.items()
        },
        "concurrent_by_page": {name: _summary(times) for name, times in together.items()},
    }


# --- asking ---


def _ask_alone(port: int, browsers: Mapping[str, Browser]) -> tuple[list[float], Times]:
    """Every page once in each round, `/healthz` as often as all of them together."""
    healthz: list[float] = []
    times: Times = defaultdict(list)
    anonymous = Browser(port)
    reviewer = browsers["reviewer1"]
    card = reviewer.post(f"{QUEUE}claim/", {}, target="lane")
    for _round in range(NUM_ROUNDS):
        for page in PAGES:
            anonymous.get("/healthz")
            healthz.append(anonymous.seconds)
            browser = browsers[page.who]
            browser.get(page.path, target=page.target)
            times[page.name].append(browser.seconds)
        card = _decide(reviewer, card)
        times["decide"].append(reviewer.seconds)
    return healthz, times


def _ask_together(
    port: int,
    browsers: Mapping[str, Browser],
    pages: list[Page] | tuple[Page, ...],
    num_rounds: int,
) -> Times:
    """The pages and decisions by many at once, each with sessions and a review card of their own."""
    times: Times = defaultdict(list)

    def ask(number: int) -> None:
        own = {name: Browser(port, dict(found.cookies)) for name, found in browsers.items()}
        reviewer = own[f"reviewer{number}"]
        card = reviewer.post(f"{QUEUE}claim/", {}, target="lane")
        for _round in range(num_rounds):
            # Not all the same page at the same time.
            for page in (*pages[number:], *pages[:number]):
                browser = own[page.who]
                browser.get(page.path, target=page.target)
                times[page.name].append(browser.seconds)
            card = _decide(reviewer, card)
            times["decide"].append(reviewer.seconds)

    with ThreadPoolExecutor(NUM_CLIENTS) as pool:
        list(pool.map(ask, range(1, NUM_CLIENTS + 1)))
    return times


def _decide(reviewer: Browser, card: str) -> str:
    """Accept the card, and return the next."""
    return reviewer.post(f"{QUEUE}decide/", {**card_fields(card), "kind": "accept"}, target="lane")


def card_fields(page: str) -> dict[str, str]:
    """What a decision says of the first card of a page."""
    found = dict(re.findall(r'data-(card|slot|proof)="([^"]*)"', page))
    return {"client_id": found["card"], "slot": found["slot"], "proof": found["proof"]}


def _count_queries(page: Page) -> int:
    from django.contrib.auth.models import User
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(User.objects.get(username=page.who))
    headers = {"HX-Request": "true", "HX-Target": page.target} if page.target else {}
    with CaptureQueriesContext(connection) as asked:
        client.get(page.path, headers=headers)
    return len(asked)


# --- reckoning ---


def _all(times: Times) -> list[float]:
    return [seconds for found in times.values() for seconds in found]


def _summary(times: list[float]) -> dict[str, float]:
    return {
        "p50_ms": percentile(times, 50),
        "p95_ms": percentile(times, 95),
        "max_ms": percentile(times, 100),
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
