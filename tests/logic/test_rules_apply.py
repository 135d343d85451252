from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.logic.reasons import Reason
from distill.logic.rules import RULES, apply_rules
from distill.logic.types import RuleText
from tests.logic.rule_tables import CONFIG, GOOD, only

pieces = st.sampled_from(
    [
        "[1, 2]",
        "(",
        "]",
        "**",
        "```\n",
        "{context}",
        "BSL-3",
        " not ",
        "é",
        "🧪",
        "\ufffd",
        "\ud800",
        "et al.",
        "I'm sorry",
        "measure ",
        "\n3.",
        "\\cite{",
        "\0",
        "is not required. ",
        GOOD,
    ]
)
texts = st.lists(st.text(st.characters()) | pieces, max_size=8).map("".join)


def test_a_good_text_has_no_findings():
    assert apply_rules([RuleText(GOOD)], CONFIG) == [()]


def test_no_texts_have_no_findings():
    assert apply_rules([], CONFIG) == []


def test_every_rule_looks_at_every_text():
    text = "I'm sorry, {context} [1] BSL-3"
    found, good = apply_rules([RuleText(text), RuleText(GOOD)], CONFIG)
    assert [finding.reason for finding in found] == [
        Reason.TOO_SHORT,
        Reason.NO_ACTION_VERB,
        Reason.CITATION,
        Reason.BROKEN_FORMATTING,
        Reason.REFUSAL,
        Reason.SAFETY,
    ]
    assert good == ()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code.value)
def test_a_rule_that_is_switched_off_finds_nothing(rule):
    bad = "I'm sorry, {context} [1] BSL-3"
    off = CONFIG.model_copy(update={rule.code.value: False})
    assert rule.code not in [finding.reason for finding in apply_rules([RuleText(bad)], off)[0]]
    assert [finding.reason for finding in apply_rules([RuleText(bad)], only(rule))[0]] == [
        rule.code
    ]


@given(st.lists(texts, max_size=5))
def test_a_batch_gives_what_each_text_gives_alone(batch):
    together = apply_rules([RuleText(text) for text in batch], CONFIG)
    assert together == [apply_rules([RuleText(text)], CONFIG)[0] for text in batch]


@given(texts)
def test_offsets_lie_inside_the_text_and_say_what_is_quoted(text):
    for finding in apply_rules([RuleText(text)], CONFIG)[0]:
        assert "\0" not in finding.detail
        if finding.start is None:
            assert finding.end is None
        else:
            assert 0 <= finding.start < finding.end <= len(text)


def test_offsets_count_characters_not_bytes():
    text = "🧪é\ud800 " + GOOD + " [12]"
    found = {finding.reason: finding for finding in apply_rules([RuleText(text)], CONFIG)[0]}
    citation = found[Reason.CITATION]
    assert text[citation.start : citation.end] == "[12]"
    assert found[Reason.BROKEN_FORMATTING].start == text.index("\ud800")


@pytest.mark.parametrize(
    "hostile", ["((", "not ", "Aa ", "[1,", "\\cite[", "<", " ", "1. \n", "BSL-3 ", "I cannot "]
)
def test_hostile_repetition_takes_linear_time(hostile):
    assert len(apply_rules([RuleText(hostile * (2_000_000 // len(hostile)))], CONFIG)) == 1
