"""Which judges are asked, and what is said of a judge that scores its own answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.logic.errors import InputError
from distill.logic.gate import GateConfig
from distill.logic.panel import judges_to_ask, warnings
from distill.logic.reasons import Reason
from distill.logic.recipe import JudgeConfig, Recipe, TeacherConfig, default_recipe, load_recipe
from distill.logic.rubric import Dimension, build_judge_messages, judgement_schema, rubric_stamp
from distill.logic.types import Evidence, Scores

FACTS = ("plausibility", "grounding")
METHOD = ("falsifiability", "method_rigour", "reproducibility")
TWO = Recipe(
    judges=(
        JudgeConfig(name="F", role="Facts and mechanism.", dimensions=FACTS),
        JudgeConfig(name="R", role="Reasoning, method, safety.", dimensions=METHOD),
        JudgeConfig(name="second", only_near=0.05),
    ),
    gate=GateConfig(min_mean=0.8),
)


def said(judge: str, score: float) -> Scores:
    return Scores(judge, dict.fromkeys(FACTS if judge == "F" else METHOD, score), "", ())


def names(**opinions: Scores | Evidence) -> list[str]:
    return [judge.name for judge in judges_to_ask(TWO, opinions)]


def test_the_first_judges_are_asked_at_once():
    assert names() == ["F", "R"]
    assert names(F=said("F", 0.8)) == ["R"]


@pytest.mark.parametrize(("score", "further"), [(0.80, ["second"]), (0.75, ["second"]), (0.74, [])])
def test_a_second_opinion_is_asked_near_the_threshold_alone(score, further):
    assert names(F=said("F", score), R=said("R", score)) == further


def test_no_scores_no_second_opinion():
    broken = Evidence(Reason.JUDGE_INVALID, "no JSON object")
    assert names(F=broken, R=broken) == []


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_asking_ends_and_the_order_of_opinions_does_not_matter(f, r, second):
    opinions = {"F": said("F", f), "R": said("R", r)}
    assert judges_to_ask(TWO, opinions) == judges_to_ask(TWO, dict(reversed(opinions.items())))
    assert names(**opinions, second=said("R", second)) == []


def test_each_judge_is_asked_for_its_dimensions_and_told_its_role():
    facts = TWO.rubric_of(TWO.judges[0])
    _system, user = build_judge_messages(facts, passage="P", answer="A", role=TWO.judges[0].role)
    assert user.content.startswith("Your part: Facts and mechanism.")
    assert "grounding" in user.content
    assert "falsifiability" not in user.content
    assert judgement_schema(facts)["properties"]["scores"]["required"] == list(facts.names)


def test_another_text_or_role_is_another_stamp():
    rubric = default_recipe().rubric
    first = rubric.dimensions[0]
    changed = rubric.model_copy(
        update={"dimensions": (Dimension(name=first.name, description="x"), *rubric.dimensions[1:])}
    )
    stamps = {rubric_stamp(rubric), rubric_stamp(changed), rubric_stamp(rubric, "F")}
    assert len(stamps) == 3
    assert rubric_stamp(rubric).startswith("1@")
    assert all(len(stamp) == 14 for stamp in stamps)


@pytest.mark.parametrize(
    ("judge", "message"),
    [
        ("dimensions: [beauty]", "beauty; the rubric has plausibility"),
        ("dimensions: [grounding]", "none is always asked for plausibility"),
        ("only_near: 0.1", "none is always asked for plausibility"),
    ],
)
def test_a_panel_that_leaves_a_dimension_unasked_is_refused(judge, message):
    with pytest.raises(InputError, match=message):
        load_recipe(f"judges:\n  - name: F\n    {judge}\n")


def test_a_judge_of_its_own_answers_is_warned_of():
    assert warnings(default_recipe()) == ()
    own = Recipe(
        teacher=TeacherConfig(name="openai:gpt-4o"), judges=(JudgeConfig(teacher="openai:gpt-4o"),)
    )
    assert "prefer their own answers" in warnings(own)[0]
