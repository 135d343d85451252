"""Two texts as one, word by word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from review.logic.guidelines import Paragraph, paragraphs, shipped_guidelines
from review.logic.keys import REASON_KEYS
from review.logic.word_diff import MAX_WORDS, Part, word_diff

WORDS = st.lists(st.sampled_from(["a", "b,", "c.\n", "  ", "<b>", "é"]), max_size=30).map(" ".join)


def test_changed_words_stand_where_they_changed() -> None:
    assert word_diff("Heat 24 cores slowly.", "Heat 36 cores slowly.") == (
        Part("kept", "Heat "),
        Part("removed", "24 "),
        Part("added", "36 "),
        Part("kept", "cores slowly."),
    )


def test_equal_texts_have_no_change() -> None:
    assert word_diff("the same", "the same") == (Part("kept", "the same"),)
    assert word_diff("", "") == ()


@given(WORDS, WORDS)
def test_both_texts_can_be_read_from_it(before: str, after: str) -> None:
    parts = word_diff(before, after)
    assert "".join(part.text for part in parts if part.change != "added") == before
    assert "".join(part.text for part in parts if part.change != "removed") == after


def test_long_texts_are_not_compared() -> None:
    long = "word " * (MAX_WORDS + 1)
    assert [part.change for part in word_diff(long, long + "more")] == ["removed", "added"]


def test_the_shipped_guidelines_name_each_reason_by_its_digit() -> None:
    blocks = [one.text for one in paragraphs(shipped_guidelines())]
    for key in REASON_KEYS:
        assert any(block.startswith(f"{key.key} {key.label}. ") for block in blocks)


def test_paragraphs_stand_between_empty_lines() -> None:
    assert paragraphs("one\r\nline\r\n\r\n\r\n\r\ntwo\n\n \n") == [
        Paragraph("one\nline"),
        Paragraph("two"),
    ]


@pytest.mark.parametrize(
    ("text", "is_heading"),
    [("The nine reasons", True), ("Accept it.", False), ("One\nline", False), ("x" * 61, False)],
)
def test_a_short_line_without_a_sign_at_its_end_is_a_heading(text: str, is_heading: bool) -> None:
    assert Paragraph(text).is_heading == is_heading
