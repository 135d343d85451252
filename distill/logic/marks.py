"""Where findings stand in a text: the text in pieces, so that a page can mark some of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mark:
    """Something to be said of the characters from `start` up to `end`."""

    start: int
    end: int
    note: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text, and what is said of it; no notes: an unmarked part."""

    text: str
    notes: tuple[str, ...] = ()


def split_marks(text: str, marks: Iterable[Mark]) -> tuple[Piece, ...]:
    """The text in pieces that together are the text again; marks may overlap or reach beyond it."""
    inside = [
        Mark(max(mark.start, 0), min(mark.end, len(text)), mark.note)
        for mark in marks
        if mark.start < mark.end and mark.start < len(text) and mark.end > 0
    ]
    edges = sorted({0, len(text), *(edge for mark in inside for edge in (mark.start, mark.end))})
    return tuple(
        Piece(text[start:end], _notes(inside, start, end))
        for start, end in itertools.pairwise(edges)
    )


def move_marks(marks: Iterable[Mark], *, by: int) -> tuple[Mark, ...]:
    """The marks as they stand in a part of the text that begins `by` characters later."""
    return tuple(Mark(mark.start - by, mark.end - by, mark.note) for mark in marks)


def _notes(marks: list[Mark], start: int, end: int) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(mark.note for mark in marks if mark.start <= start and end <= mark.end)
    )
