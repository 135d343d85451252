"""The gate's settings as a form: what an empty field keeps."""

from __future__ import annotations

from distill.forms.gate import GateForm
from distill.logic.gate import GateConfig
from distill.logic.rules import RulesConfig
from distill.logic.what_if import Settings

BASE = Settings(
    RulesConfig(), GateConfig(min_scores={"grounding": 0.7, "plausibility": 0.6}), {"F": None}
)


def asked(**scores: str) -> dict[str, float]:
    data = {"asked": "on"} | {f"score.{name}": value for name, value in scores.items()}
    form = GateForm(data, base=BASE, dimensions=["grounding"])
    assert form.is_valid(), form.errors
    return dict(form.settings.gate.min_scores)


def test_an_empty_field_and_one_that_is_not_shown_keep_the_minimum() -> None:
    assert asked(grounding="") == {"grounding": 0.7, "plausibility": 0.6}


def test_a_moved_minimum_is_taken_and_zero_takes_it_away() -> None:
    assert asked(grounding="0.9") == {"grounding": 0.9, "plausibility": 0.6}
    assert asked(grounding="0") == {"plausibility": 0.6}
