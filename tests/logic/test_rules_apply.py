from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.logic.reasons import Reason
from distill.logic.rules import (
    RULES,
    RulesConfig,
    apply_rules,
    examine,
    near_misses,
    rule_frame,
)
from distill.logic.types import RuleText
from tests.logic.hostile_texts import hostile_texts
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
        "may ",
        "細胞",
        "der die das ",
        "|--|\n|",
        "N/A",
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


SOURCE = " ".join(f"quantity{number} of sample{number}" for number in range(40))
# For every rule a completion that it drops.
BAD = {
    Reason.TOO_SHORT: RuleText("x"),
    Reason.TOO_LONG: RuleText("x " * 10_000),
    Reason.CUT_SHORT: RuleText("Mix the"),
    Reason.EMPTY_FIELD: RuleText("N/A", fields={"hypothesis": "N/A"}),
    Reason.NO_ACTION_VERB: RuleText("Nothing."),
    Reason.CITATION: RuleText("so [1]"),
    Reason.BROKEN_FORMATTING: RuleText("so ("),
    Reason.PLACEHOLDER: RuleText("{context}"),
    Reason.REFUSAL: RuleText("I'm sorry"),
    Reason.HEDGING: RuleText("It may, might or could be."),
    Reason.REPETITION: RuleText("so " * 40),
    Reason.OTHER_LANGUAGE: RuleText("Рост клеток"),
    Reason.COPIED_SOURCE: RuleText(SOURCE, source=SOURCE),
    Reason.OFF_SOURCE: RuleText("Warm water lowers kelp growth rapidly.", source=SOURCE),
    Reason.HAZARD: RuleText("make sarin"),
    Reason.PATHOGEN: RuleText("work at BSL-3"),
}


def test_every_rule_looks_at_every_text():
    text = "I'm sorry, {context} [1] BSL-3 <br>"
    found, good = apply_rules([RuleText(text), RuleText(GOOD)], CONFIG)
    assert [finding.reason for finding in found] == [
        Reason.TOO_SHORT,
        Reason.NO_ACTION_VERB,
        Reason.CITATION,
        Reason.BROKEN_FORMATTING,
        Reason.PLACEHOLDER,
        Reason.REFUSAL,
        Reason.PATHOGEN,
    ]
    assert good == ()


@pytest.mark.parametrize("code", BAD)
def test_a_rule_that_is_switched_off_finds_nothing(code):
    rule = next(rule for rule in RULES if rule.code is code)
    off = CONFIG.model_copy(update={rule.switch: False})
    assert code not in [finding.reason for finding in apply_rules([BAD[code]], off)[0]]
    assert [finding.reason for finding in apply_rules([BAD[code]], only(rule))[0]] == [code]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.switch)
def test_a_rule_tells_people_what_it_is_for(rule):
    assert rule.label == rule.code.label
    assert rule.says.endswith(".")
    assert set(rule.settings) <= set(RulesConfig.model_fields)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.switch)
def test_what_hits_is_no_near_miss(rule):
    frame = examine(rule_frame([*BAD.values(), RuleText(GOOD)]), CONFIG)
    near = near_misses(frame, rule, CONFIG)
    assert len(near) == len(frame)
    assert not (near.is_not_null() & frame[rule.code.value]).any()
    assert near.drop_nulls().is_between(0, 1).all()


def test_every_setting_belongs_to_a_rule():
    settings = {field for rule in RULES for field in (rule.switch, *rule.settings)}
    assert settings == set(RulesConfig.model_fields)


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES if rule.settings], ids=lambda one: one.switch
)
def test_a_threshold_moves_over_measures_alone(rule):
    frame = rule_frame([*BAD.values(), RuleText(GOOD)])
    measures = rule.measures(CONFIG)
    if measures:
        stored = frame.select(**measures)
        hits = stored.select(hit=rule.hits(CONFIG))["hit"]
        assert hits.equals(examine(frame, only(rule))[rule.code.value], check_names=False)


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


def test_every_rule_answers_for_hostile_texts():
    """What takes more than linear time would not end; the benchmark takes twenty times the text."""
    hostile = hostile_texts(100_000)
    for text in hostile.values():
        assert len(apply_rules([RuleText(text, source=text[:10_000])], CONFIG)) == 1
