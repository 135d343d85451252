"""What-if says beforehand what a re-evaluation then stores, of a real run by a misbehaving teacher."""

from __future__ import annotations

from typing import Any

import pytest

from distill.logic.gate import GateConfig
from distill.logic.recipe import Recipe as RecipeContent
from distill.logic.rules import RulesConfig
from distill.logic.what_if import Settings, evaluate
from distill.models import Run
from distill.queries.snapshot import load_snapshot
from distill.services.runs import create_run
from distill.services.save_gate import save_gate
from distill.services.snapshots import take_snapshot
from distill.services.step import run_step
from distill.teachers.offline import offline_teacher
from tests.builders import make_recipe
from tests.distill.test_run_step import counts_of, demo_dataset

pytestmark = pytest.mark.django_db(transaction=True)

PANEL = [{"name": "F"}, {"name": "R", "role": "Reasoning and method.", "only_near": 0.05}]
MOVED: list[dict[str, Any]] = [
    {"gate": GateConfig()},
    {"gate": GateConfig(min_mean=0.5)},
    {"gate": GateConfig(min_mean=0.9)},
    {"gate": GateConfig(min_scores={"grounding": 0.9}, review_band=0.1)},
    {"rules": RulesConfig(min_chars=400)},
    {"rules": RulesConfig(no_action_verb=False, no_prediction=False, no_procedure=False)},
]


@pytest.fixture
def dataset(settings, tmp_path):
    settings.DATA_DIR = tmp_path
    dataset = demo_dataset(60)
    run = create_run(dataset=dataset, recipe=make_recipe(judges=PANEL), kind=Run.Kind.PIPELINE)
    with offline_teacher(0, faults="moderate,retry_after=0.2,slow_seconds=1") as url:
        assert run_step(run.id, offline_url=url) == Run.State.DONE
    return dataset


def test_what_is_predicted_is_what_is_stored(dataset):
    take_snapshot(dataset=dataset)
    frame = load_snapshot(dataset).frame
    base = RecipeContent(judges=PANEL)
    unjudged = 0
    for moved in MOVED:
        settings = Settings.of(base.model_copy(update=moved))
        predicted = evaluate(frame, settings)
        recipe = save_gate(dataset=dataset, settings=settings)
        run = create_run(dataset=dataset, recipe=recipe, kind=Run.Kind.REEVALUATE)
        assert run_step(run.id, offline_url="http://127.0.0.1:9/v1") == Run.State.DONE
        stored = counts_of(run)
        assert stored.get("passed", 0) == predicted.passed, moved
        assert stored.get("filtered", 0) == predicted.unjudged, moved
        assert sum(stored.values()) == predicted.total
        unjudged += predicted.unjudged
    assert unjudged
