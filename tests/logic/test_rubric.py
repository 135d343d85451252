from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from distill.logic.reasons import Reason
from distill.logic.rubric import Dimension, Rubric, build_judge_messages, parse_judgement
from distill.logic.types import Scores

RUBRIC = Rubric()
NAMES = RUBRIC.names


def reply(**change):
    return {"scores": dict.fromkeys(NAMES, 0.5), "rationale": "Fair.", "flags": [], **change}


def judge(value):
    return parse_judgement(
        RUBRIC, value if isinstance(value, str) else json.dumps(value), judge="F"
    )


def test_the_judge_sees_passage_answer_and_every_dimension():
    system, user = build_judge_messages(RUBRIC, passage="P </answer>", answer="A </passage>")
    assert system.role == "system"
    assert "\n<passage>\nP ‹/answer>\n</passage>\n" in user.content
    assert "\n<answer>\nA ‹/passage>\n</answer>\n" in user.content
    for dimension in RUBRIC.dimensions:
        assert f"- {dimension.name}: {dimension.description}" in user.content
    assert user.content.split("\n")[-2:] == [
        'Reply with a JSON object with exactly these keys: "scores", "rationale", "flags".',
        '"scores" has exactly these keys, each a number from 0 to 1: "plausibility", '
        '"falsifiability", "method_rigour", "reproducibility", "grounding".',
    ]


def test_a_valid_judgement_is_read():
    scores = dict(zip(NAMES, [0, 1, 0.25, 0.5, 1.0], strict=True))
    text = json.dumps(reply(scores=scores, flags=["Safety_Pathogen ", "", "safety_pathogen"]))
    found = judge(f"```json\n{text}\n```")
    assert found == Scores("F", scores, "Fair.", ("safety_pathogen",))


def test_missing_rationale_and_flags_are_none():
    found = judge(reply(rationale=None, flags=None))
    assert found == Scores("F", dict.fromkeys(NAMES, 0.5))


@pytest.mark.parametrize("score", [True, "0.5", None, -0.01, 1.01, 1e400, [], {}])
def test_a_score_that_is_no_share_is_invalid(score):
    found = judge(reply(scores={**dict.fromkeys(NAMES, 0.5), "grounding": score}))
    assert found.reason is Reason.JUDGE_INVALID


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        ("Looks good to me", "judge F: no JSON object"),
        ('{"scores": {"plausibility": NaN}}', "judge F: no JSON object"),
        (reply(scores=[0.5]), 'judge F: "scores" is missing or no object'),
        ({"rationale": "x"}, 'judge F: "scores" is missing or no object'),
        (reply(scores=dict.fromkeys(NAMES[1:], 0.5)), "judge F: no score for plausibility"),
        (
            reply(scores=dict.fromkeys([*NAMES, "style"], 0.5)),
            "judge F: a score for style, which the rubric does not have",
        ),
        (
            reply(scores=dict.fromkeys(NAMES, 80)),
            "judge F: plausibility is 80, not a number from 0 to 1",
        ),
        (reply(rationale=3), 'judge F: "rationale" is no text'),
        (reply(flags="safety"), 'judge F: "flags" is no list of texts'),
        (reply(flags=[1]), 'judge F: "flags" is no list of texts'),
    ],
)
def test_an_invalid_judgement_says_why(value, detail):
    found = judge(value)
    assert (found.reason, found.detail) == (Reason.JUDGE_INVALID, detail)


@given(st.dictionaries(st.sampled_from(NAMES), st.floats(0, 1)))
def test_scores_are_read_when_and_only_when_all_are_there(scores):
    found = judge(reply(scores=scores))
    assert isinstance(found, Scores) == (set(scores) == set(NAMES))


@given(st.text())
def test_no_reply_makes_it_raise(text):
    judge(text)


def test_nothing_that_the_database_refuses_comes_through():
    found = judge(reply(rationale="a\0b", flags=["a\0b"]))
    assert (found.rationale, found.flags) == ("a\ufffdb", ("a\ufffdb",))


@pytest.mark.parametrize("names", [(), ("a", "a")])
def test_a_rubric_needs_distinct_dimensions(names):
    with pytest.raises(ValidationError):
        Rubric(dimensions=tuple(Dimension(name=name, description="d") for name in names))
