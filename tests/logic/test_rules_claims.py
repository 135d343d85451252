from __future__ import annotations

import pytest

from distill.logic.reasons import Reason
from distill.logic.rules import RulesConfig, apply_rules, examine, rule_frame
from distill.logic.rules.claims import METHOD_CUES, NO_PREDICTION, NO_PROCEDURE, PREDICTION_CUES
from distill.logic.types import RuleText
from tests.logic.rule_tables import only


def hypothesis(text: str) -> RuleText:
    return RuleText(text, fields={"hypothesis": text})


def method(text: str) -> RuleText:
    return RuleText(text, fields={"methodology": text})


def cues(completion: RuleText, measure: str) -> int | None:
    count: int | None = examine(rule_frame([completion]), RulesConfig())[measure][0]
    return count


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Heating the film at 300 °C will raise its conductivity by at least 20 %.", 2),
        ("Compared with sham, vagal stimulation will lower the heart rate.", 3),
        ("If KRAS is knocked out, tumour volume falls two-fold relative to wild type.", 3),
        ("Survival correlates with the dose of naïve T cells.", 3),
        ("Metformin has no effect on mortality, compared with placebo.", 3),
        ("Deleting lacZ lowers growth at 37 °C.", 3),
        ("The yield increases as a function of temperature.", 3),
        ("Perhaps more work on this is worth while.", 0),
        ("The factor described in the text will influence the outcome in some way.", 0),
        ("Toluene may play some role, and it could be worth looking at this more closely.", 0),
        ("Mitochondria are interesting organelles of the cell.", 0),
        ("The expression of the gene is complex.", 1),
        ("Proteins grow on us.", 1),
        ("  \n", None),
        ("", None),
    ],
)
def test_kinds_of_words_of_a_prediction_are_counted(text, count):
    assert cues(hypothesis(text), "prediction_cues") == count
    found = apply_rules([hypothesis(text)], only(NO_PREDICTION))[0]
    assert bool(found) == (count is not None and count < 2)


def test_the_evidence_says_which_kind_of_prediction_is_missing():
    (found,) = apply_rules([hypothesis("The expression is complex.")], only(NO_PREDICTION))[0]
    assert found.reason is Reason.NO_PREDICTION
    assert found.detail == (
        "no variable or comparison, no direction of the effect; 2 of 3 kinds are needed"
    )
    assert found.start is None


STEPS = "1. Culture HeLa cells.\n2. Treat them with 5 µM drug.\n3. Count them against a control."


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (STEPS, 5),
        ("First, treat mice with saline as a control, then measure their weight.", 5),
        ("Step 1: anneal the film. Step 2: record its XRD pattern beside an untreated one.", 5),
        ("Train with dropout and without, and evaluate accuracy on the held-out split.", 4),
        ("Expose zebrafish to 10 mg/l and image them.", 3),
        ("Compare escape latency with and without toluene.", 1),
        ("1. Collect data.\n2. Examine how it behaves.\n3. Discuss the findings.", 1),
        ("Think about it for a while.", 0),
        ("The 2.5 of 1.5 are numbers, no steps", 0),
        ("", None),
        (" \n ", None),
    ],
)
def test_kinds_of_words_of_a_procedure_are_counted(text, count):
    assert cues(method(text), "method_cues") == count
    found = apply_rules([method(text)], only(NO_PROCEDURE))[0]
    assert bool(found) == (count is not None and count < 3)


def test_the_evidence_says_what_the_procedure_lacks():
    text = "Compare escape latency with and without toluene."
    (found,) = apply_rules([method(text)], only(NO_PROCEDURE))[0]
    assert found.detail == (
        "no system or material, no perturbation, no readout, no ordered steps; "
        "3 of 5 kinds are needed"
    )


def test_the_fewest_kinds_can_be_set():
    strict = RulesConfig(min_prediction_cues=3, min_method_cues=5)
    lax = RulesConfig(min_prediction_cues=0, min_method_cues=0)
    poor = RuleText("x", fields={"hypothesis": "It grows.", "methodology": "Culture cells."})
    codes = {Reason.NO_PREDICTION, Reason.NO_PROCEDURE}
    assert codes <= {one.reason for one in apply_rules([poor], strict)[0]}
    assert not codes & {one.reason for one in apply_rules([poor], lax)[0]}


def test_a_completion_without_fields_is_asked_for_neither():
    found = apply_rules([RuleText("It is.")], RulesConfig())[0]
    assert not {Reason.NO_PREDICTION, Reason.NO_PROCEDURE} & {one.reason for one in found}


def test_there_are_as_many_kinds_as_the_settings_allow():
    RulesConfig(min_prediction_cues=len(PREDICTION_CUES), min_method_cues=len(METHOD_CUES))
    with pytest.raises(ValueError, match="out of range"):
        RulesConfig(min_prediction_cues=len(PREDICTION_CUES) + 1)
    with pytest.raises(ValueError, match="out of range"):
        RulesConfig(min_method_cues=len(METHOD_CUES) + 1)
