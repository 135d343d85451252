"""The engine's benchmark: its arithmetic here, its promises about memory, kills and money in the soak."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import orjson
import pytest

from benchmarks.stub_door import occupancy, running_stub
from benchmarks.stub_replies import Settings, choose_fault, read_request
from distill.logic.recipe import Recipe
from distill.logic.rules import apply_rules
from distill.logic.templates import parse_reply, plain_text
from distill.logic.types import RuleText
from nexa_site.env import BASE_DIR


def measure(parts: str, **variables: str) -> dict[str, float]:
    """The figures that the benchmark prints as its last line."""
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("PYTEST")},
        **variables,
    }
    argv = [sys.executable, "-m", "benchmarks.bench_engine", "--only", parts]
    done = subprocess.run(
        argv, cwd=BASE_DIR, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def body(text: str) -> bytes:
    message = {"role": "user", "content": text}
    return orjson.dumps({"model": "m", "max_tokens": 1024, "messages": [message]})


def test_a_slot_that_waits_for_its_client_is_not_busy() -> None:
    # Two slots over ten waves of one second; the second slot pauses as long as it is answered.
    arrived = [*range(10), *range(0, 10, 2)]
    times = {"arrived": arrived, "replied": [at + 1.0 for at in arrived]}
    steady, over_all = occupancy(times, slots=2, latency=1.0, trim=0.2)
    assert steady == pytest.approx(0.75)
    assert over_all == pytest.approx(0.75)


def test_faults_follow_from_seed_request_and_how_often_it_was_seen() -> None:
    settings = Settings(rate_limited=0.3, server=0.3, truncated=0.5)
    asked = [
        read_request(body(str(number)), orjson.loads(body(str(number)))) for number in range(99)
    ]
    first = [choose_fault(settings, one, 0) for one in asked]
    assert first == [choose_fault(settings, one, 0) for one in asked]
    assert first != [choose_fault(settings, one, 1) for one in asked]
    assert set(first) == {"rate_limited", "server", "truncated", ""}


def test_the_stub_answers_with_a_pair_that_passes_the_rules() -> None:
    with running_stub() as stub:
        stub.set(latency=0.0)
        envelope = stub._call("POST", "/v1/chat/completions", body("a passage"))
        stats = stub.stats()
    recipe = Recipe()
    template = recipe.template_for(None)
    parsed = parse_reply(template, envelope["choices"][0]["message"]["content"])
    assert parsed.evidence == ()
    assert apply_rules([RuleText(plain_text(template, parsed.fields))], recipe.rules) == [()]
    assert (stats["requests"], stats["paid"], stats["good"]) == (1, 1, 1)


@pytest.mark.soak
def test_a_worker_over_100000_samples_needs_no_more_memory_than_over_10000() -> None:
    figures = measure("memory")
    assert figures["peak_mb_100k"] <= 1.2 * figures["peak_mb_10k"]
    assert figures["peak_mb_100k"] <= 300


@pytest.mark.soak
def test_faults_kills_and_random_budgets_lose_nothing_and_overspend_nothing() -> None:
    figures = measure("faults,kills,budget", QUICK="1")
    assert figures["lost"] == figures["duplicated"] == 0
    assert figures["lost_after_kills"] == figures["duplicated_after_kills"] == 0
    assert figures["bought_twice"] <= figures["possibly_billed"] <= figures["in_flight_at_kills"]
    assert figures["overspend"] == figures["overspend_in_database"] == 0
    assert figures["spent_share"] >= 0.95
