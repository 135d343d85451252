from __future__ import annotations

import pytest

from distill.logic.reasons import Reason
from distill.logic.rules.cut_short import CUT_SHORT
from tests.logic.rule_tables import check, findings, nearness


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("Mix the cells and", "and"),
        ("Mix the cells with", "with"),
        ("é 🧪 Measure the growth of the", "the"),
        ("1. Mix it.\n2. Wash the cells in  \n", "in"),
        ("as follows:", "follows:"),
        ("Mix salt, sugar,", "sugar,"),
        ("Mix the cells with pre-", "pre-"),
        ("Mix the cells –", "–"),
        ("Then the cells are ...", "..."),
        ("Then the cells…", "cells…"),
        ("1. Mix\n2. Wash\n3.", "3."),
        ("Do it\n- ", "-"),
        ("All said.\n\n## Methodology\n", "Methodology"),
        ("#", "#"),
        ("The cells are mixed. Then the plates were incu", "incu"),
        ("1. Mix the cells.\n2. Wash the plates at 7.4 and then", "then"),
        ('He said "so." Then the plates were washed', "washed"),
    ],
)
def test_a_text_that_ends_too_early_is_found_at_its_end(text, quoted):
    check(CUT_SHORT, text, Reason.CUT_SHORT, quoted)


@pytest.mark.parametrize(
    "text",
    [
        "The cells are mixed.",
        "1. Mix the cells\n2. Wash the plates",
        "- Mix the cells\n- Wash the plates with buffer",
        "1. Mix the cells.\n2. Incubate at 37 °C for 30 min",
        "1. Mix the cells.\n2. Dilute to 5 mM",
        "1. Mix the cells.\n2. Wash (three times)",
        'He called it "washed"',
        "It is so. See below:\n```\nrun it\n```",
        "It grows. Then $x = y$",
        "It grows. The lattice constant is $a$ or b",
        "Warm water lowers the growth of kelp",
        "switch the lamp on",
        "the charge of Cl-",
        "compare before and after",
        "approx. 5 cells, e.g. of yeast",
        "Is it so?",
        "So it is!",
        "それは増加する。",
        "## Methodology\nMix.",
        "in the month of May",
        "We used vitamin A",
        "",
    ],
)
def test_a_text_that_ends_is_left_alone(text):
    check(CUT_SHORT, text, None)


def test_a_hypothesis_that_is_cut_before_a_whole_method_is_found_too():
    fields = {"hypothesis": "Warm water lowers the", "methodology": "1. Mix it."}
    text = "é " + "\n\n".join(fields.values())
    found = findings(CUT_SHORT, text, fields=fields)
    assert found[0].detail == 'ends in "water lowers the"'
    assert text[found[0].start : found[0].end] == "the"
    assert text[: found[0].end].endswith("lowers the")


def test_a_text_without_a_full_stop_is_a_near_miss():
    assert nearness(CUT_SHORT, "Warm water lowers growth") == 0.5
    assert nearness(CUT_SHORT, "Warm water lowers growth.") is None
    assert nearness(CUT_SHORT, "Warm water lowers the") is None
