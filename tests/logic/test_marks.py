"""Texts in pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from distill.logic.marks import Mark, Piece, move_marks, split_marks

MARKS = st.lists(st.builds(Mark, st.integers(-5, 60), st.integers(-5, 60), st.sampled_from("abc")))


def test_a_finding_is_a_piece_of_its_own():
    assert split_marks("see [1] there", [Mark(4, 7, "citation")]) == (
        Piece("see "),
        Piece("[1]", ("citation",)),
        Piece(" there"),
    )


def test_where_findings_overlap_both_are_noted():
    pieces = split_marks("abcdef", [Mark(0, 4, "one"), Mark(2, 6, "two")])
    assert [piece.notes for piece in pieces] == [("one",), ("one", "two"), ("two",)]


def test_marks_move_with_the_part_of_the_text_that_they_stand_in():
    assert split_marks("def", move_marks([Mark(4, 6, "x")], by=3)) == (
        Piece("d"),
        Piece("ef", ("x",)),
    )


@given(st.text(max_size=50), MARKS)
def test_the_pieces_are_the_text_again(text, marks):
    assert "".join(piece.text for piece in split_marks(text, marks)) == text
