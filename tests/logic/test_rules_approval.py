from __future__ import annotations

import pytest

from distill.logic.reasons import Reason
from distill.logic.rules import apply_rules
from distill.logic.rules.approval import NO_APPROVAL
from distill.logic.types import Evidence, RuleText
from tests.logic.rule_tables import check, findings, only


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("Recruit 40 healthy volunteers.", "Recruit 40 healthy volunteers"),
        ("At 4 °C, inject the mice twice.", "inject the mice"),
        ("We enrolled naïve patients", "enrolled naïve patients"),
        ("Patients are randomly assigned to arms", "Patients are randomly assigned"),
        ("The rats will be anaesthetised with isoflurane", "rats will be anaesthetised"),
        ("Participants undergo surgery", "Participants undergo"),
        ("Zebrafish were exposed to 5 mg/l", "Zebrafish were exposed"),
        ("Assign participants 1:1 to the drug", "Assign participants"),
        ("Treat rats without ethical approval", "Treat rats"),
        ("Inject mice. No consent is needed", "Inject mice"),
    ],
)
def test_work_without_an_approval_is_found_where_it_is(text, quoted):
    check(NO_APPROVAL, text, Reason.NO_APPROVAL, quoted)


@pytest.mark.parametrize(
    "text",
    [
        "Recruit 40 volunteers after approval by the ethics committee.",
        "The protocol was approved by the IRB. Enrol 30 patients.",
        "Inject mice under IACUC protocol 12.",
        "Treat patients who gave informed consent.",
        "In line with the Declaration of Helsinki, recruit women.",
        "Retrospective analysis of patients who were treated in 2010",
        "Patients were treated; we use published data alone.",
        "Assign simulated patients to arms",
        "Mortality of patients with stroke was compared",
        "Measure survival in patients treated with statins",
        "Treat the film with plasma. Rats are a model.",
        "Mouse cells were cultured",
        "Train on images of dogs",
        "Feed the network with data; people differ",
        "",
    ],
)
def test_approved_work_and_work_on_nobody_are_left_alone(text):
    check(NO_APPROVAL, text, None)


def completion(hypothesis: str, method: str) -> RuleText:
    fields = {"hypothesis": hypothesis, "methodology": method}
    return RuleText(f"{hypothesis}\n\n{method}", fields=fields)


def test_a_hypothesis_that_tells_of_others_work_plans_none():
    told = completion("Patients were randomised to statins.", "Simulate the binding.")
    assert apply_rules([told], only(NO_APPROVAL)) == [()]


def test_the_work_is_marked_in_the_method():
    text = completion("Naïve: inject the mice.", "°1. Inject the mice.\n2. Weigh them.")
    (found,) = apply_rules([text], only(NO_APPROVAL))[0]
    assert text.text[found.start : found.end] == "Inject the mice"
    assert found.start == text.text.rindex("Inject")
    assert found.detail == '"Inject the mice", and no approval or consent is named'


def test_an_approval_may_stand_in_the_hypothesis():
    text = completion("With ethics approval, it rises.", "Inject the mice.")
    assert apply_rules([text], only(NO_APPROVAL)) == [()]


def test_a_method_that_is_no_part_of_the_text_is_marked_nowhere():
    text = RuleText("short", fields={"methodology": "Inject the mice."})
    assert apply_rules([text], only(NO_APPROVAL))[0][0].start is None


def test_it_is_a_flag():
    found: Evidence = findings(NO_APPROVAL, "Inject the mice.")[0]
    assert found.reason.is_flag
