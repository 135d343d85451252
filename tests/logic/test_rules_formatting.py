from __future__ import annotations

import pytest

from distill.logic.reasons import Reason
from distill.logic.rules.formatting import BROKEN_FORMATTING
from tests.logic.rule_tables import check, findings, nearness

BROKEN = Reason.BROKEN_FORMATTING


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("The é\ufffd value", "\ufffd"),
        ("a\x07b", "\x07"),
        ("a\0b", "\0"),
        ("end<|im_end|>", "<|im_end|>"),
        ("[INST] do it", "[INST]"),
        ("<think>so</think> it", "<think>"),
        ("first<br/>second", "<br/>"),
        ('<div class="x">a</div>', '<div class="x">'),
        ("a &amp; b", "&amp;"),
        ("Steps:\\n\\n1. Mix", "\\n\\n"),
        ("Steps:\\n1. Mix", "\\n1"),
        ("Choice(finish_reason='stop')", "Choice("),
        ("so\n<!-- a note", "<!--"),
        ("a <strong>large</strong> effect", "<strong>"),
        ("end of it.</p>", "</p>"),
        ("<hypothesis>Warm water", "<hypothesis>"),
        ("the \\textbf{large} effect", "\\textbf"),
        ('{"hypothesis": "Warm water"}', '"hypothesis":'),
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
        ("It grows as $$x^2 and", "formula left open"),
        ("\\begin{align} x = 1", "LaTeX environment left open"),
        ("|a|b|\n|---|---|\n|1|2|3|", "table whose rows differ in their number of cells"),
        (
            "é |a|\n\n| a | b |\n| :-- | --: |\n| 1 |",
            "table whose rows differ in their number of cells",
        ),
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
        "|a|b|\n|---|---|\n|1|2|\n|é| |",
        "| a |\n|---|\n| 1 |\n\nand then\n\n| a | b |\n|---|---|\n| 1 | 2 |",
        "|a|b|\n|--|--|\n|1 \\| 2|3|",
        "the norms |x| and |y|\n|z| too",
        "It is $$x^2$$ long, for 5 $ and <p> = 0.3",
        "\\begin{align} x = 1 \\end{align}",
        "",
    ],
)
def test_sound_formatting_is_left_alone(text):
    check(BROKEN_FORMATTING, text, None)


def test_the_first_of_several_faults_is_reported():
    found = findings(BROKEN_FORMATTING, "(open **bold <br>")
    assert [finding.detail for finding in found] == ['markup of a page or a prompt: "<br>"']


def test_brackets_that_only_balance_over_all_kinds_are_a_near_miss():
    assert nearness(BROKEN_FORMATTING, "x in [0, 1) or so") == 0.5
    assert nearness(BROKEN_FORMATTING, "x in (0, 1) or so") is None
    assert nearness(BROKEN_FORMATTING, "x in (0, 1 or so") is None
