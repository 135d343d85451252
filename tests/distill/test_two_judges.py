"""The shipped recipe of two judges and a second opinion, through a whole run and through `kill -9`."""

from __future__ import annotations

import signal
import time
from collections import defaultdict
from datetime import timedelta
from pathlib import Path

import pytest
from django.db.models import Count

from distill.logic.panel import judges_to_ask, warnings
from distill.logic.recipe import load_recipe
from distill.models import Judgement, Purchase, Reply, Run
from distill.queries.opinions import stored_opinions
from distill.services import shifts
from distill.services.recipes import save_recipe
from distill.services.runs import create_run
from distill.services.step import run_step
from distill.teachers.offline import offline_teacher
from nexa_site.env import BASE_DIR
from tests.distill.test_run_killed import start_worker, take_over
from tests.distill.test_run_step import counts_of, demo_dataset

RECIPE = load_recipe((BASE_DIR / "docs" / "recipes" / "two_judges.yaml").read_text("utf-8"))

pytestmark = pytest.mark.django_db(transaction=True)


def make_run(num_samples: int) -> Run:
    recipe = save_recipe(content=RECIPE)
    return create_run(dataset=demo_dataset(num_samples), recipe=recipe, kind=Run.Kind.PIPELINE)


def heard() -> dict[int, set[str]]:
    found: dict[int, set[str]] = defaultdict(set)
    for completion, judge in Judgement.objects.values_list("completion", "judge"):
        found[completion].add(judge)
    return found


def nobody_is_missing() -> None:
    """Each completion that was judged has heard all whom it must, and nobody twice."""
    by_completion = heard()
    opinions = stored_opinions(RECIPE, list(by_completion))
    assert all(judges_to_ask(RECIPE, opinions[pk]) == () for pk in by_completion)
    twice = Judgement.objects.values("completion", "judge").annotate(num=Count("id"))
    assert not twice.filter(num__gt=1).exists()
    assert {frozenset(names) for names in by_completion.values()} == {
        frozenset({"F", "R"}),
        frozenset({"F", "R", "A"}),
    }


def test_a_second_opinion_is_asked_only_where_the_first_two_leave_it_close() -> None:
    assert warnings(RECIPE) == ()
    run = make_run(40)
    with offline_teacher(0) as url:
        assert run_step(run.id, offline_url=url) == Run.State.DONE
    nobody_is_missing()
    assert set(counts_of(run)) <= {"passed", "rejected"}


def test_kill_9_between_two_opinions_leaves_nobody_unheard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shifts, "LEASE", timedelta(seconds=2))
    run = make_run(40)
    with offline_teacher(0, latency="0.1") as url:
        worker = start_worker(run, url, tmp_path)
        until = time.monotonic() + 60
        while not Judgement.objects.filter(judge="A").exists():
            assert time.monotonic() < until, "no second opinion was asked for"
            time.sleep(0.01)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        assert take_over(run, url) == Run.State.DONE
    nobody_is_missing()
    accepted = Reply.objects.filter(outcome="accepted").values("call")
    assert not accepted.annotate(num=Count("id")).filter(num__gt=1).exists()
    assert Purchase.objects.values("call").annotate(num=Count("id")).filter(num__gt=2).count() == 0
