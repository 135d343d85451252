from __future__ import annotations

import pytest

from distill.logic.reasons import Reason
from distill.logic.rules.refusal import REFUSAL
from tests.logic.rule_tables import check, nearness


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("I'm sorry, but no.", "I'm sorry"),
        ("I’m very sorry", "I’m very sorry"),
        ("We apologize for that", "We apologize"),
        ("As an AI language model, I", "As an AI"),
        ("I cannot assist with this", "I cannot assist"),
        ("I can’t directly provide steps", "I can’t directly provide"),
        ("I am unable to help", "I am unable to help"),
        ("I'm not able to write", "I'm not able to write"),
        ("I must respectfully decline", "I must respectfully decline"),
        ("it is against our guidelines", "against our guidelines"),
        (
            "The passage does not provide enough information",
            "passage does not provide enough",
        ),
    ],
)
def test_a_refusal_is_found_where_it_is(text, quoted):
    check(REFUSAL, text, Reason.REFUSAL, quoted)


@pytest.mark.parametrize(
    "text",
    [
        "The cell cannot divide",
        "We cannot exclude an effect",
        "type I cannot be distinguished",
        "a sorry state",
        "The patients were unable to walk",
        "AI models were compared",
        "The text does not mention it",
        "",
    ],
)
def test_ordinary_inability_is_no_refusal(text):
    check(REFUSAL, text, None)


def test_other_inability_of_the_writer_is_a_near_miss():
    assert nearness(REFUSAL, "Here we cannot exclude an effect") == 0.5
    assert nearness(REFUSAL, "I cannot help") is None
    assert nearness(REFUSAL, "The cell cannot divide") is None
