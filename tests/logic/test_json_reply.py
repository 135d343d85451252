from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.logic.json_reply import read_json_object


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}',
        ' \n{"a": 1}\n ',
        '```json\n{"a": 1}\n```',
        '```\n{"a": 1}\n```',
        'Here it is:\n```json\n{"a": 1}\n```\nAnything else?',
        'Sure. {"a": 1} Done.',
        'Text {"a": 1}',
        '\ufeff{"a": 1}',
    ],
)
def test_an_object_is_found(text):
    assert read_json_object(text) == {"a": 1}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no object",
        "```",
        "[1]",
        '"a"',
        "null",
        '{"a": 1',
        "{'a': 1}",
        '{"a": NaN}',
        '{"a": 1,}',
        '{"a": "\\ud800"}',
        '{"a": 1} {"b": 2}',
        "}{",
        "{" * 2000 + "}" * 2000,
        '{"a": "\ud800"}',
    ],
)
def test_nothing_else_is_repaired(text):
    assert read_json_object(text) is None


def test_a_code_fence_inside_a_value_does_not_end_the_outer_one():
    assert read_json_object('```json\n{"a": "```py```"}\n```') == {"a": "```py```"}


@given(st.text())
def test_no_text_makes_it_raise(text):
    read_json_object(text)
