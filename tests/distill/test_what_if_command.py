"""`manage.py what_if`: the gate's page on a terminal, with what may be moved by name."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from distill.logic.rules import RULES
from distill.models import CompletionState, Recipe, Verdict
from distill.services.snapshots import take_snapshot
from tests.builders import (
    PAIR,
    asked_as,
    make_completion,
    make_dataset,
    make_judgement,
    make_label,
    make_run,
    make_sample,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _data(settings, tmp_path):
    settings.DATA_DIR = tmp_path


def grounded(mean: float, *, dataset):
    source = " ".join(reversed(PAIR["hypothesis"].split())) + " Nitrate was measured weekly. " * 4
    one = make_completion(make_sample(dataset, text=source), text=json.dumps(PAIR))
    make_judgement(one, scores={"grounding": mean, "plausibility": mean}, **asked_as())
    return one


@pytest.fixture
def dataset():
    dataset = make_dataset("reef")
    make_run(dataset)
    for mean in (0.9, 0.85, 0.7, 0.3):
        grounded(mean, dataset=dataset)
    make_label(grounded(0.75, dataset=dataset))
    return dataset


def what_if(*changes: str, **options) -> str:
    out = StringIO()
    call_command(
        "what_if", dataset="reef", changes=list(changes), stdout=out, stderr=StringIO(), **options
    )
    return out.getvalue()


def asked(*changes: str) -> Any:
    return json.loads(what_if(*changes, json=True))


def test_it_takes_the_first_look_and_says_what_the_gate_does(dataset):
    told = what_if()
    assert "Passed the gate" in told
    assert "Waterfall" in told
    assert "Would change sides" not in told
    assert "50.0 % of 1" not in told
    assert "0 % of 1" in told


def test_a_stale_snapshot_is_taken_anew(dataset):
    take_snapshot(dataset=dataset)
    before = asked()["now"]["passed"]
    grounded(0.95, dataset=dataset)
    assert asked()["now"]["passed"] == before + 1


def test_a_lower_threshold_shows_who_would_pass(dataset):
    found = asked("gate.min_mean=0.6")
    assert found["then"]["passed"] - found["now"]["passed"] == 2
    assert [change["label"] for change in found["changes"]] == ["accepted", None]
    assert {tuple(change["why"]) for change in found["changes"]} == {("low_score",)}
    assert found["settings"]["gate"]["min_mean"] == 0.6
    told = what_if("gate.min_mean=0.6")
    assert told.count("would pass") == 2
    assert "people accepted" in told


def test_a_rule_is_switched_off_and_a_number_moved(dataset):
    long = asked("rules.min_chars=5000")
    assert long["then"]["passed"] == 0
    switched = asked("rules.min_chars=5000", "rules.too_short=off")
    assert switched["then"] == switched["now"] | {
        "agreement_interval": switched["then"]["agreement_interval"]
    }


def test_the_waterfall_is_that_of_the_page(dataset):
    steps = asked()["waterfall"]
    assert [steps[0]["label"], steps[1]["label"]] == ["Samples × draws", "Replied"]
    assert steps[1]["count"] == 5
    low = next(step for step in steps if step["label"] == "Judge score below the threshold")
    assert (low["lost"], low["count"]) == (3, 2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("gate.min_meen=0.7", "Known are: gate.min_mean"),
        ("rules.language=1", "no such setting"),
        ("min_mean=0.7", "no such setting"),
        ("gate.min_scores.beauty=0.7", "gate.min_scores.grounding"),
        ("gate.min_mean=7", "gate.min_mean: 7 is out of range"),
        ("gate.min_mean=nan", "gate.min_mean: nan is out of range"),
        ("gate.min_mean=true", "must be a number"),
        ("rules.min_chars=1.5", "rules.min_chars"),
        ("gate.min_mean=high", "write a number"),
        ("gate.min_mean", "write NAME=VALUE"),
        ("=1", "write NAME=VALUE"),
    ],
)
def test_what_cannot_be_moved_is_one_clear_line(dataset, change, words):
    with pytest.raises(CommandError) as raised:
        what_if(change)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_looking_changes_nothing_and_saving_makes_a_version_once(dataset):
    states = list(CompletionState.objects.order_by("pk").values())
    what_if("gate.min_mean=0.6")
    num = Recipe.objects.count()
    told = [what_if("gate.min_mean=0.6", save=True) for _ in range(2)]
    assert Recipe.objects.count() == num + 1
    assert Recipe.objects.order_by("pk").last().content.gate.min_mean == 0.6
    assert all("Re-evaluate" in one for one in told)
    assert list(CompletionState.objects.order_by("pk").values()) == states
    assert not Verdict.objects.exists()


def test_without_completions_it_says_what_to_do():
    make_dataset("reef")
    with pytest.raises(CommandError, match="start a run"):
        what_if()


def test_an_unknown_dataset_names_those_that_are_there(dataset):
    with pytest.raises(CommandError, match="there are: reef"):
        call_command("what_if", dataset="nothing")


def test_a_models_text_cannot_write_over_the_terminal(dataset):
    bad = PAIR | {"hypothesis": f"\x1b[2J{PAIR['hypothesis']}"}
    one = make_completion(dataset=dataset, fields=bad, text=json.dumps(bad))
    make_judgement(one, scores={"grounding": 0.3, "plausibility": 0.3}, **asked_as())
    told = what_if("gate.min_mean=0", *(f"rules.{rule.switch}=off" for rule in RULES))
    assert "�[2J" in told
    assert "\x1b" not in told
