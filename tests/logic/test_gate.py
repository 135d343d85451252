from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.logic.gate import GateConfig, decide
from distill.logic.reasons import Reason, Stage
from distill.logic.types import Evidence, Scores

CITATION = Evidence(Reason.CITATION, '"[1]"', 0, 3)
MISSING = Evidence(Reason.MISSING_FIELD, '"hypothesis" is missing')
INVALID = Evidence(Reason.JUDGE_INVALID, "judge R: no JSON object")


def scores(*values, judge="F", flags=()):
    return Scores(judge, {f"d{number}": value for number, value in enumerate(values)}, "", flags)


def verdict(*judgements, parse=(), rules=(), judged=True, **config):
    return decide(
        parse_evidence=parse,
        rule_evidence=rules,
        judgements=judgements,
        config=GateConfig(**config),
        judged=judged,
    )


def test_a_completion_without_a_fault_passes():
    found = verdict(scores(0.9, 0.8))
    assert (found.passed, found.stage, found.evidence) == (True, None, ())
    assert found.mean_score == pytest.approx(0.85)


def test_reaching_the_threshold_is_passing_it():
    assert verdict(scores(0.8)).passed
    assert verdict(scores(0.7, 0.8, 0.9)).passed
    assert verdict(scores(*[0.8] * 7)).passed


@pytest.mark.parametrize(
    ("score", "detail"),
    [
        (0.7997, "mean 0.7997 is below 0.8000"),
        (0.5, "mean 0.50 is below 0.80"),
        (0.7999999, "mean 0.7999999 is below 0.8000000"),
    ],
)
def test_almost_is_not_enough_and_is_not_rounded(score, detail):
    found = verdict(scores(score))
    assert (found.passed, found.stage) == (False, Stage.GATE)
    assert found.evidence == (Evidence(Reason.LOW_SCORE, detail),)


def test_the_mean_is_taken_over_all_dimensions_and_judges():
    found = verdict(scores(0.9, 0.9), scores(0.7, 0.3, judge="R"))
    assert found.mean_score == pytest.approx(0.7)
    assert found.reasons == (Reason.LOW_SCORE,)


def test_a_single_dimension_may_ask_for_more():
    asked = {"d0": 0.9, "d1": 0.5, "elsewhere": 0.9}
    found = verdict(scores(0.8, 1), scores(0.8, 1, judge="R"), min_scores=asked)
    assert found.evidence == (Evidence(Reason.LOW_SCORE, "d0 0.80 is below 0.90"),)


def test_every_reason_is_kept_and_the_first_stage_is_named():
    found = verdict(
        scores(0.1, flags=("safety_pathogen", "citation")),
        INVALID,
        parse=[MISSING],
        rules=[Evidence(Reason.PATHOGEN, '"BSL-3"', 5, 10), CITATION],
    )
    assert found.stage is Stage.PARSE
    assert found.reasons == (
        Reason.MISSING_FIELD,
        Reason.CITATION,
        Reason.JUDGE_INVALID,
        Reason.LOW_SCORE,
    )
    assert {flag.reason for flag in found.flags} == {Reason.PATHOGEN, Reason.SAFETY}
    assert found.scores == {"F": {"d0": 0.1}}


def test_a_safety_flag_alone_stops_nothing_but_is_kept():
    found = verdict(scores(1, flags=("SAFETY",)))
    assert (found.passed, found.reasons, found.stage) == (True, (), None)
    assert found.flags == (Evidence(Reason.SAFETY, "judge F raised SAFETY"),)


def test_judges_far_apart_are_flagged_and_nothing_else():
    found = verdict(scores(1.0), scores(0.65, judge="R"))
    assert found.passed
    assert [flag.reason for flag in found.flags] == [Reason.JUDGES_DISAGREE]
    assert not verdict(scores(1.0), scores(0.7, judge="R")).flags


@pytest.mark.parametrize(("score", "flagged"), [(0.85, True), (0.75, True), (0.74, False)])
def test_near_the_threshold_is_flagged_on_both_sides(score, flagged):
    found = verdict(scores(score), review_band=0.05)
    assert found.passed == (score >= 0.8)
    assert [flag.reason for flag in found.flags] == [Reason.NEAR_THRESHOLD] * flagged


OPINIONS = st.lists(st.floats(0, 1), min_size=1, max_size=4).map(lambda values: scores(*values))
RULES = st.lists(st.sampled_from([CITATION, Evidence(Reason.HAZARD, "x"), MISSING]), max_size=3)


@given(st.lists(OPINIONS, max_size=3), RULES, st.randoms(use_true_random=False))
def test_neither_order_nor_a_flag_changes_whether_it_passes(opinions, rules, random):
    found = verdict(*opinions, rules=rules)
    flagged = [*rules, Evidence(Reason.PERSONAL_DATA, "x")]
    assert verdict(*opinions, rules=flagged).passed == found.passed
    assert not verdict(*opinions, rules=[*rules, CITATION]).passed
    random.shuffle(opinions)
    random.shuffle(rules)
    again = verdict(*opinions, rules=rules)
    assert (again.passed, again.stage, set(again.reasons), {f.reason for f in again.flags}) == (
        *(found.passed, found.stage, set(found.reasons)),
        {flag.reason for flag in found.flags},
    )


def test_a_flag_that_is_not_about_safety_only_informs():
    assert verdict(scores(1, flags=("off_topic", "unsafety"))).passed


def test_a_judge_that_was_asked_must_have_replied():
    assert verdict().reasons == (Reason.JUDGE_MISSING,)
    assert verdict().mean_score is None
    assert verdict(INVALID).reasons == (Reason.JUDGE_INVALID,)


def test_without_a_judge_the_rules_decide():
    assert verdict(judged=False).passed
    assert verdict(judged=False, rules=[CITATION]).stage is Stage.RULES
    assert not verdict(scores(0.1), judged=False).passed


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.floats(0, 1))
def test_a_higher_threshold_never_lets_more_through(values, threshold):
    strict = verdict(scores(*values), min_mean=threshold)
    assert verdict(scores(*values), min_mean=threshold / 2).passed or not strict.passed
    assert strict.passed == (not strict.evidence)
