"""Invariant 1 under `kill -9`: a worker dies in the middle; nothing stored is lost or re-bought."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import orjson
import pytest
from django.db import connection as database
from django.db.models import Count

from distill.models import Completion, Purchase, Reply, Run, SampleDraw, Verdict
from distill.services import shifts
from distill.services.runs import create_run
from distill.services.step import run_step
from distill.teachers.offline import offline_teacher
from nexa_site.env import BASE_DIR
from tests.builders import make_recipe
from tests.distill.test_run_step import counts_of, demo_dataset

SLOTS = 8
NUM_SAMPLES = 60
WORKER = """
import sys, django
django.setup()
from distill.services.step import run_step
run_step(int(sys.argv[1]), offline_url=sys.argv[2])
"""


def start_worker(run: Run, url: str, data_dir: Path) -> subprocess.Popen[bytes]:
    """A worker process of its own over the test's database."""
    parts = database.get_connection_params()
    where = {key: str(parts[key]) for key in ("host", "port", "user", "password") if parts.get(key)}
    address = f"postgresql:///{parts['dbname']}?{urlencode(where)}"
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("PYTEST")},
        "DJANGO_SETTINGS_MODULE": "nexa_site.settings",
        "DATABASE_URL": address,
        "NEXA_DATA_DIR": str(data_dir),
    }
    argv = [sys.executable, "-c", WORKER, str(run.id), url]
    return subprocess.Popen(argv, cwd=BASE_DIR, env=environment)


def wait_for_replies(at_least: int, *, seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while Reply.objects.count() < at_least:
        assert time.monotonic() < until, f"only {Reply.objects.count()} replies came"
        time.sleep(0.02)


def take_over(run: Run, url: str, *, tries: int = 20) -> str:
    """Work the run off; asked again, as the queue does, while the dead worker is held for alive.

    Its last heartbeat may be committed after its end: the database was at it already.
    """
    for _ in range(tries):
        if (state := run_step(run.id, offline_url=url)) != "held":
            return state
        time.sleep(0.2)
    return "held"


def stats(url: str) -> dict[str, int]:
    where = urlsplit(url)
    connection = HTTPConnection(where.hostname or "", where.port, timeout=5)
    connection.request("GET", "/stats")
    told: dict[str, int] = orjson.loads(connection.getresponse().read())
    connection.close()
    return told


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("at_least", [pytest.param(3, marks=pytest.mark.soak), 40])
def test_kill_9_loses_nothing_and_rebuys_only_what_was_in_flight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_least: int
) -> None:
    monkeypatch.setattr(shifts, "LEASE", timedelta(seconds=2))
    recipe = make_recipe(teacher={"slots": SLOTS})
    run = create_run(dataset=demo_dataset(NUM_SAMPLES), recipe=recipe, kind=Run.Kind.PIPELINE)
    with offline_teacher(0, latency="0.15") as url:
        worker = start_worker(run, url, tmp_path)
        wait_for_replies(at_least)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        stored = dict(Reply.objects.values_list("id", "raw"))
        assert take_over(run, url) == Run.State.DONE
        seen = stats(url)

    assert {pk: Reply.objects.get(id=pk).raw for pk in stored} == stored
    assert counts_of(run).get("pending", 0) == 0
    assert SampleDraw.objects.filter(run=run).count() == NUM_SAMPLES
    possibly_billed = Purchase.objects.filter(reply__isnull=True).count()
    # On the way, bought ahead, or arrived in the last moment and not committed yet.
    assert 0 < possibly_billed <= 2 * SLOTS
    assert Purchase.objects.count() == Reply.objects.count() + possibly_billed
    accepted = Reply.objects.filter(outcome="accepted").values("call")
    assert not accepted.annotate(n=Count("id")).filter(n__gt=1).exists()
    assert Purchase.objects.values("call").annotate(n=Count("id")).filter(n__gt=2).count() == 0
    assert seen["requests"] <= Purchase.objects.count()
    replied = Reply.objects.exclude(outcome=Reply.UNSENT).count()
    assert seen["requests"] - replied <= possibly_billed
    assert (
        not Completion.objects.values("sample", "attempt").annotate(n=Count("id")).filter(n__gt=1)
    )
    assert not Verdict.objects.values("completion").annotate(n=Count("id")).filter(n__gt=1)
