from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.logic.request_key import request_key
from distill.logic.types import Message, Request

REQUEST = Request(
    teacher="openai:gpt-4o",
    messages=(Message("system", "Be brief."), Message("user", "Why?")),
    parameters={"temperature": 0.2, "max_tokens": 1024},
)


def test_the_key_never_changes_between_versions():
    assert (
        request_key(REQUEST).hex()
        == "a620e5c4e192df232579ef189d5a3588b0d55a9cc0c3241b610a16fb8b5e1355"
    )


@pytest.mark.parametrize(
    "other",
    [
        replace(REQUEST, teacher="openai:gpt-4o-mini"),
        replace(REQUEST, messages=REQUEST.messages[1:]),
        replace(REQUEST, messages=REQUEST.messages[::-1]),
        replace(REQUEST, messages=(Message("user", "Be brief."), REQUEST.messages[1])),
        replace(REQUEST, parameters={"temperature": 0.3, "max_tokens": 1024}),
        replace(REQUEST, parameters={**REQUEST.parameters, "seed": 1}),
        replace(REQUEST, parameters={**REQUEST.parameters, "seed": None}),
        replace(REQUEST, draw=1),
    ],
)
def test_whatever_can_change_the_reply_changes_the_key(other):
    assert request_key(other) != request_key(REQUEST)


def test_the_order_of_parameters_does_not_matter():
    other = replace(REQUEST, parameters={"max_tokens": 1024, "temperature": 0.2})
    assert request_key(other) == request_key(REQUEST)


@given(st.text(), st.text())
def test_text_cannot_move_from_one_message_into_the_next(first, second):
    one = Request("offline:x", (Message("user", first + second),))
    two = Request("offline:x", (Message("user", first), Message("user", second)))
    assert request_key(one) != request_key(two)


def test_parameters_that_are_no_json_are_refused():
    with pytest.raises(TypeError):
        request_key(replace(REQUEST, parameters={"stop": object()}))
