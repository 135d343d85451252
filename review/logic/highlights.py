"""What a card marks in its texts: where they draw on the source, and where a rule fired."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from distill.logic.reasons import Stage
from distill.logic.rules.grounding import PLAIN_WORDS
from distill.logic.types import Evidence

Kind = Literal["source", "rule", "flag"]

RUN_LENGTH = 3
"""Words that source and text must share in a row. Two are shared by all texts on one subject."""

FEWEST_LETTERS = 3
"""A word with fewer does not say what a text is about, whichever it is."""

_WORD = re.compile(r"[^\W_]+")

Gram = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """What is said of the characters from `start` up to `end`.

    `run` numbers what text and source share: the same number stands on both sides; 0 for others.
    """

    start: int
    end: int
    kind: Kind
    run: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of a text, and what is said of it; no kinds: nothing."""

    text: str
    kinds: tuple[Kind, ...] = ()
    runs: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Words:
    """The words of a text as they are compared, and where each stands."""

    words: tuple[str, ...]
    places: tuple[tuple[int, int], ...]

    @property
    def grams(self) -> Iterable[Gram]:
        return zip(*(self.words[shift:] for shift in range(RUN_LENGTH)), strict=False)

    def chars(self, first: int, count: int) -> tuple[int, int]:
        return self.places[first][0], self.places[first + count - 1][1]


def shared_spans(
    texts: Sequence[str], source: str
) -> tuple[tuple[tuple[Span, ...], ...], tuple[Span, ...]]:
    """Which stretches of the texts stand in the source too: those of each text, and the source's.

    A stretch is a run of `RUN_LENGTH` words or more, in any case of letters; three plain words in
    a row ("there was no") do not begin one. Each is as long as it goes, from where its first three
    words stand first in the source. Linear in the texts.
    """
    theirs = _read(source)
    # Backwards, so that the first place of each is what stays.
    places = dict(zip(reversed(list(theirs.grams)), _countdown(theirs), strict=True))
    numbers: dict[tuple[int, int], int] = {}
    found = tuple(tuple(_draws(_read(text), theirs, places, numbers)) for text in texts)
    in_source = tuple(
        Span(*theirs.chars(first, count), "source", run) for (first, count), run in numbers.items()
    )
    return found, in_source


def rule_spans(
    evidence: Iterable[Evidence], fields: Mapping[str, tuple[int, int]]
) -> dict[str, tuple[Span, ...]]:
    """Where rules fired, in the characters of each field. `fields` says where it stands in the text.

    Only what rules found: what a judge said has no place on a card that is decided blind.
    """
    placed = [
        (finding, finding.start, finding.end)
        for finding in of_rules(evidence)
        if finding.start is not None and finding.end is not None
    ]
    return {
        name: tuple(
            Span(
                max(start - first, 0),
                min(end, last) - first,
                "flag" if finding.reason.is_flag else "rule",
                note=f"{finding.reason.label}: {finding.detail}",
            )
            for finding, start, end in placed
            if start < last and end > first
        )
        for name, (first, last) in fields.items()
    }


def of_rules(evidence: Iterable[Evidence]) -> tuple[Evidence, ...]:
    """The findings of rules alone, without those of judges and gate."""
    return tuple(finding for finding in evidence if finding.reason.stage == Stage.RULES)


def split_spans(text: str, spans: Iterable[Span]) -> tuple[Part, ...]:
    """The text in parts that together are the text again; spans may overlap or reach beyond it."""
    inside = [span for span in spans if span.start < min(span.end, len(text)) and span.end > 0]
    edges = {0, len(text)}
    for span in inside:
        edges |= {max(span.start, 0), min(span.end, len(text))}
    starts: dict[int, list[Span]] = {}
    for span in inside:
        starts.setdefault(max(span.start, 0), []).append(span)
    parts: list[Part] = []
    open_: list[Span] = []
    for start, end in itertools.pairwise(sorted(edges)):
        open_ = [span for span in (*open_, *starts.get(start, ())) if span.end > start]
        parts.append(_part(text[start:end], open_))
    return tuple(parts)


def _part(text: str, spans: Sequence[Span]) -> Part:
    return Part(
        text,
        tuple(dict.fromkeys(span.kind for span in spans)),
        tuple(dict.fromkeys(span.run for span in spans if span.run)),
        tuple(dict.fromkeys(span.note for span in spans if span.note)),
    )


def _read(text: str) -> _Words:
    words = (
        _WORD.findall(text.lower()) if text.isascii() else map(str.casefold, _WORD.findall(text))
    )
    return _Words(tuple(words), tuple(match.span() for match in _WORD.finditer(text)))


def _countdown(words: _Words) -> range:
    return range(len(words.words) - RUN_LENGTH, -1, -1)


def _draws(
    mine: _Words,
    theirs: _Words,
    places: Mapping[Gram, int],
    numbers: dict[tuple[int, int], int],
) -> Iterable[Span]:
    """The stretches of one text; `numbers` gets each stretch of the source when it is met first."""
    goes_on_to = 0
    for at, gram in enumerate(mine.grams):
        if at < goes_on_to or gram not in places or all(map(_is_plain, gram)):
            continue
        first = places[gram]
        count = _common_length(mine.words, at, theirs.words, first)
        # The next stretch may begin with this one's last words.
        goes_on_to = at + count - RUN_LENGTH + 1
        run = numbers.setdefault((first, count), len(numbers) + 1)
        yield Span(*mine.chars(at, count), "source", run)


def _is_plain(word: str) -> bool:
    return len(word) < FEWEST_LETTERS or word.isdigit() or word in PLAIN_WORDS


def _common_length(mine: Sequence[str], at: int, theirs: Sequence[str], first: int) -> int:
    longest = min(len(mine) - at, len(theirs) - first)
    return next(
        (size for size in range(RUN_LENGTH, longest) if mine[at + size] != theirs[first + size]),
        longest,
    )
