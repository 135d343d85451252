"""Several runs over one dataset at once: each comes to its own end, and keeps nobody waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import orjson
import pytest
from django.db import OperationalError, connection

from distill.models import Run, SampleDraw
from distill.services import advance, standing
from distill.services.orders import Work
from distill.services.runs import create_run
from distill.services.step import run_step
from tests.builders import make_completion, make_dataset, make_recipe

pytestmark = pytest.mark.django_db(transaction=True)

NO_VERB = {"hypothesis": "Moist soils, slower nitrification. " * 8, "methodology": "Cores. " * 30}
TOO_SHORT = {"hypothesis": "Test it.", "methodology": "Measure it."}


def test_runs_that_move_the_same_completions_do_not_block_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What one lets pass the other rejects: they move the same states in opposite orders."""
    follow = standing.follow_verdicts

    def follow_and_linger(works: Sequence[Work]) -> None:
        follow(works)
        time.sleep(0.2)

    monkeypatch.setattr(advance, "follow_verdicts", follow_and_linger)
    dataset = make_dataset()
    for number in range(12):
        fields = NO_VERB if number % 2 else TOO_SHORT
        text = orjson.dumps(fields).decode()
        make_completion(dataset=dataset, state="new", fields=fields, text=text)
    choices = (
        {"too_short": False, "no_action_verb": True},
        {"too_short": True, "no_action_verb": False},
    )
    runs = [
        create_run(
            dataset=dataset,
            recipe=make_recipe(name=f"rules-{number}", judges=[], rules=rules),
            kind=Run.Kind.GATE,
        )
        for number, rules in enumerate(choices)
    ]
    states = _at_once(runs)
    messages = list(Run.objects.values_list("message", flat=True))
    assert states == [Run.State.DONE] * len(runs), messages
    assert not SampleDraw.objects.filter(state="pending").exists()


def _at_once(runs: list[Run]) -> list[str]:
    states: dict[int, str] = {}
    barrier = threading.Barrier(len(runs))

    def work(run: Run) -> None:
        barrier.wait()
        try:
            states[run.id] = run_step(run.id)
        except OperationalError as error:
            states[run.id] = repr(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [states[run.id] for run in runs]
