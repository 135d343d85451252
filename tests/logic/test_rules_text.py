from __future__ import annotations

import pytest

from distill.logic.reasons import Reason
from distill.logic.rules import RulesConfig
from distill.logic.rules.text import BROKEN_FORMATTING, TOO_SHORT
from tests.logic.rule_tables import check, findings

SHORT, BROKEN = Reason.TOO_SHORT, Reason.BROKEN_FORMATTING


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", SHORT),
        ("x" * 120, SHORT),
        ("x" * 121, None),
        ("é" * 120, SHORT),
        ("é" * 121, None),
        (" " * 50 + "x" * 119 + "\n" * 50, SHORT),
        ("🧪" * 121, None),
    ],
)
def test_a_text_needs_more_than_120_characters_without_outer_space(text, reason):
    check(TOO_SHORT, text, reason)


def test_the_detail_counts_characters():
    assert findings(TOO_SHORT, " é ")[0].detail == "1 characters, more than 120 are needed"


def test_the_length_can_be_set():
    assert not findings(TOO_SHORT, "xx", RulesConfig(min_chars=1, no_action_verb=False))


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("The é\ufffd value", "\ufffd"),
        ("a\x07b", "\x07"),
        ("a\0b", "\0"),
        ("Given {context}, propose", "{context}"),
        ("{user_prompt}", "{user_prompt}"),
        ("Use {{ dose }} of it", "{{ dose }}"),
        ("Add [insert volume here] of buffer", "[insert volume here]"),
        ("[Your answer]", "[Your answer]"),
        ("TODO: describe", "TODO"),
        ("Lorem ipsum dolor", "Lorem ipsum"),
        ("end<|im_end|>", "<|im_end|>"),
        ("[INST] do it", "[INST]"),
        ("<think>so</think> it", "<think>"),
        ("first<br/>second", "<br/>"),
        ('<div class="x">a</div>', '<div class="x">'),
        ("a &amp; b", "&amp;"),
        ("Steps:\\n\\n1. Mix", "\\n\\n"),
        ("Steps:\\n1. Mix", "\\n1"),
        ("Choice(finish_reason='stop')", "Choice("),
        ("1. Mix\n2. Wash\n3.", "\n3."),
        ("Do it\n- ", "\n- "),
        ("All said.\n\n## Methodology\n", "\n## Methodology\n"),
        ("#", "#"),
    ],
)
def test_broken_formatting_is_found_where_it_is(text, quoted):
    check(BROKEN_FORMATTING, text, BROKEN, quoted)


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("Run this:\n```python\nprint(1)", "code fence left open"),
        ("The **main effect is large", "bold mark left open"),
        ("Add buffer (pH 7.4 and mix", "bracket left open"),
        ("The set [0, 1 is closed", "bracket left open"),
        ("Add buffer pH 7.4) and mix", "bracket closed that was never opened"),
        ('"steps": 3}', "bracket closed that was never opened"),
    ],
)
def test_what_is_left_open_is_found_by_counting(text, detail):
    found = findings(BROKEN_FORMATTING, text)
    assert [(finding.detail, finding.start) for finding in found] == [(detail, None)]


@pytest.mark.parametrize(
    "text",
    [
        "Measure at pH 7.4 (n = 3) in [Ca2+] of 1 mM {buffer, salt}.",
        "x in [0, 1) and y in (0, 1]",
        "1) Prepare cells\n2) Wash (twice)\na) Dry\niv) Image",
        "either a) heat or b) cool",
        "\\frac{a}{b} and x_{input} and \\text{source} and \\nu and \\nabla",
        "10**3 cells and **bold** text",
        "```\ncode\n```",
        "p < 0.05 and a > b, H<sub>2</sub>O",
        "1. Mix\n2. Wash",
        "- one\n- two",
        "## Methodology\nMix.",
        "a\tb\r\nc",
        "Q&A; R&D",
        "We placed your sample [12]",
        "",
    ],
)
def test_sound_formatting_is_left_alone(text):
    check(BROKEN_FORMATTING, text, None)


def test_the_first_of_several_faults_is_reported():
    found = findings(BROKEN_FORMATTING, "(open **bold {context}")
    assert [finding.detail for finding in found] == ['placeholder that nobody filled: "{context}"']
