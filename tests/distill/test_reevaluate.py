"""Deciding anew from stored scores never asks a model, whatever was moved."""

from __future__ import annotations

import pytest

from distill.logic.gate import GateConfig
from distill.models import CompletionState, Purchase, Run, SampleDraw
from distill.queries.runs import models_of
from distill.services.runs import create_run
from distill.services.step import run_step
from tests.builders import asked_as, make_dataset, make_judgement, make_recipe
from tests.distill.test_gate_page import grounded

pytestmark = pytest.mark.django_db(transaction=True)
NOBODY = "http://127.0.0.1:9/v1"


@pytest.fixture
def scored():
    """A completion with a mean of 0.7 by the default recipe's judge, and its dataset."""
    dataset = make_dataset()
    one = grounded(0.7, dataset=dataset)
    CompletionState.objects.filter(pk=one.pk).update(state="rejected", is_open=True)
    recipe = make_recipe().content
    make_judgement(one, scores=dict.fromkeys(recipe.rubric.names, 0.7), **asked_as(recipe))
    return dataset


def reevaluate(dataset, **content):
    run = create_run(dataset=dataset, recipe=make_recipe(**content), kind=Run.Kind.REEVALUATE)
    assert run_step(run.id, offline_url=NOBODY) == Run.State.DONE
    assert not Purchase.objects.exists()
    return SampleDraw.objects.get(run=run).state


def test_a_threshold_moves_what_stands(scored):
    assert reevaluate(scored) == "rejected"
    assert reevaluate(scored, gate=GateConfig(min_mean=0.6)) == "passed"
    assert CompletionState.objects.get(dataset=scored).state == "passed"
    assert reevaluate(scored, gate=GateConfig(min_mean=0.71)) == "rejected"


def test_another_rubric_has_not_been_judged(scored):
    rubric = {"dimensions": [{"name": "grounding", "description": "Other words."}]}
    assert reevaluate(scored, rubric=rubric) == "filtered"
    assert CompletionState.objects.get(dataset=scored).state == "rejected"


def test_a_judge_who_was_never_heard_is_not_guessed(scored):
    judges = [{"name": "F"}, {"name": "R", "role": "reasoning"}]
    assert reevaluate(scored, judges=judges) == "filtered"


def test_without_judges_the_rules_decide(scored):
    assert reevaluate(scored, judges=[]) == "passed"


def test_it_says_beforehand_that_it_asks_nobody(scored):
    assert models_of(make_recipe().document, Run.Kind.REEVALUATE) == []
