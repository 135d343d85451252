from __future__ import annotations

import pytest

from distill.logic.reasons import Reason
from distill.logic.rules.placeholder import PLACEHOLDER
from tests.logic.rule_tables import check, nearness


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("Given {context}, propose", "{context}"),
        ("{user_prompt}", "{user_prompt}"),
        ("é Use {{ dose }} of it", "{{ dose }}"),
        ("Add [insert volume here] of buffer", "[insert volume here]"),
        ("[Your answer]", "[Your answer]"),
        ("TODO: describe", "TODO"),
        ("the dose (TBD)", "TBD"),
        ("Lorem ipsum dolor", "Lorem ipsum"),
        ("inhibits [X] in yeast", "[X]"),
        ("inhibits [XXX] in yeast", "[XXX]"),
        ("the effect of [compound] on it", "[compound]"),
        ("🧪 use <your cell line here>", "<your cell line here>"),
        ("with <insert dose>", "<insert dose>"),
        ("add XX mg of salt", "XX mg "),
        ("at XX °C.", "XX °C."),
        ("add X mL of it", "X mL"),
        ("rises by X.X %", "X.X"),
        ("Name: ____ it", "____"),
        ("Your hypothesis goes here", "hypothesis goes here"),
    ],
)
def test_a_placeholder_is_found_where_it_is(text, quoted):
    check(PLACEHOLDER, text, Reason.PLACEHOLDER, quoted)


@pytest.mark.parametrize(
    "text",
    [
        "\\frac{a}{b} and x_{input} and \\text{source} and x_{title}",
        "{buffer, salt} and {x}",
        "[Ca2+] and [S] and [x] done",
        "XX and XY females, the X chromosome",
        "dilute in 10X PBS, spin at 300 X g for 5 min",
        "x mg of y, where x is 3",
        "__init__ and snake_case",
        "We placed your sample [12]",
        "p < 0.05 and your name > 3",
        "to-do lists and a tbd",
        "factor X, vitamin X, X-ray, XXII",
        "",
    ],
)
def test_what_only_looks_like_a_placeholder_is_left_alone(text):
    check(PLACEHOLDER, text, None)


def test_what_might_be_a_placeholder_is_a_near_miss():
    assert nearness(PLACEHOLDER, "the level of [S] falls") == 0.5
    assert nearness(PLACEHOLDER, "the level of {dose} falls") == 0.5
    assert nearness(PLACEHOLDER, "the level of [X] falls") is None
    assert nearness(PLACEHOLDER, "the level falls") is None
