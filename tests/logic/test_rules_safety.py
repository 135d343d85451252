from __future__ import annotations

import pytest

from distill.logic.reasons import Reason
from distill.logic.rules.safety import HAZARD
from tests.logic.rule_tables import check, findings


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("Work in a BSL-3 laboratory", "BSL-3"),
        ("at 4 °C in biosafety level 4", "biosafety level 4"),
        ("a gain-of-function study of influenza", "gain-of-function study"),
        ("mutations with increased virulence", "increased virulence"),
        ("to weaponize it", "weaponize"),
        ("chemical weapons", "chemical weapons"),
        ("synthesise Sarin", "Sarin"),
        ("culture Bacillus anthracis", "Bacillus anthracis"),
        ("infect with Ebola virus", "Ebola virus"),
        ("a pipe bomb", "pipe bomb"),
        ("BSL-2 is not enough, so use BSL-3", "BSL-3"),
        ("No BSL-4 work. The virus is grown at BSL-3", "BSL-3"),
        ("BSL-3 is not required, but BSL-3 is used", "BSL-3"),
    ],
)
def test_hazardous_work_is_found_where_it_is(text, quoted):
    check(HAZARD, text, Reason.SAFETY, quoted)
    found = findings(HAZARD, text)[0]
    assert found.detail == f'"{quoted}"'


def test_the_bare_mention_is_marked_not_the_negated_one():
    text = "é BSL-3 is not required, but BSL-3 is used"
    assert findings(HAZARD, text)[0].start == text.rindex("BSL-3")


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
        "a gain-of-function mutation in KRAS",
        "increased transmission of light",
        "a secretion system as a weapon of bacteria",
        "hydrofluoric acid in a fume hood",
        "",
    ],
)
def test_negated_or_harmless_mentions_are_left_alone(text):
    check(HAZARD, text, None)
