from __future__ import annotations

import pytest

from distill.logic.reasons import Reason
from distill.logic.rules.safety import HAZARD, PATHOGEN
from tests.logic.rule_tables import check, findings


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("to weaponize it", "weaponize"),
        ("chemical weapons", "chemical weapons"),
        ("synthesise Sarin", "Sarin"),
        ("at 4 °C sulfur mustard", "sulfur mustard"),
        ("a pipe bomb", "pipe bomb"),
        ("dry the TATP", "TATP"),
        ("explosives precursors", "explosives precursors"),
        ("precursors of nerve agents", "precursors of nerve agents"),
        ("methylphosphonyl difluoride", "methylphosphonyl difluoride"),
        ("Synthesize fentanyl in one step", "Synthesize fentanyl"),
        ("acid generates hydrogen cyanide", "generates hydrogen cyanide"),
        ("No sarin is made. Then sarin is used", "sarin"),
    ],
)
def test_hazardous_work_is_found_where_it_is(text, quoted):
    check(HAZARD, text, Reason.HAZARD, quoted)
    assert findings(HAZARD, text)[0].detail == f'"{quoted}"'


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("Work in a BSL-3 laboratory", "BSL-3"),
        ("in ABSL3", "ABSL3"),
        ("at 4 °C in biosafety level 4", "biosafety level 4"),
        ("containment level 3", "containment level 3"),
        ("a gain-of-function study of influenza", "gain-of-function study"),
        ("mutations with increased virulence", "increased virulence"),
        ("a select agent", "select agent"),
        ("culture Bacillus anthracis", "Bacillus anthracis"),
        ("infect with Ebola virus", "Ebola virus"),
        ("culture of M. tuberculosis", "culture of M. tuberculosis"),
        ("Infect Vero cells with SARS-CoV-2", "Infect Vero cells with SARS-CoV-2"),
        ("BSL-2 is not enough, so use BSL-3", "BSL-3"),
        ("No BSL-4 work. The virus is grown at BSL-3", "BSL-3"),
        ("BSL-3 is not required, but BSL-3 is used", "BSL-3"),
    ],
)
def test_work_beyond_level_2_is_found_where_it_is(text, quoted):
    check(PATHOGEN, text, Reason.PATHOGEN, quoted)


@pytest.mark.parametrize("rule", [HAZARD, PATHOGEN], ids=lambda rule: rule.code.value)
def test_hazards_are_flags(rule):
    assert rule.code.is_flag


def test_the_bare_mention_is_marked_not_the_negated_one():
    text = "é BSL-3 is not required, but BSL-3 is used"
    assert findings(PATHOGEN, text)[0].start == text.rindex("BSL-3")


@pytest.mark.parametrize(
    "text",
    [
        "BSL-3 is not required",
        "BSL-3 containment isn't needed here",
        "BSL-4 facilities will not be used",
        "No BSL-3 or BSL-4 work is involved",
        "carried out without nerve agents",
        "free of anthrax",
        "This doesn’t involve variola",
        "attenuated strain instead of Yersinia pestis",
        "BSL-1 and BSL-2 containment",
        "patients with SARS-CoV-2 infection or tuberculosis",
        "injection of botulinum toxin, fentanyl patches and nitroglycerin",
        "ricinus oil, precursors of proteins",
        "a gain-of-function mutation in KRAS",
        "increased transmission of light",
        "a secretion system as a weapon of bacteria",
        "hydrofluoric acid in a fume hood",
        "",
    ],
)
@pytest.mark.parametrize("rule", [HAZARD, PATHOGEN], ids=lambda rule: rule.code.value)
def test_negated_or_harmless_mentions_are_left_alone(rule, text):
    check(rule, text, None)
