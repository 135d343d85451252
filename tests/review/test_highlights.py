"""What is marked in the texts of a card: by itself, and as a card shows it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from distill.logic.reasons import Reason
from distill.logic.types import Evidence
from review.logic.highlights import Span, of_rules, rule_spans, shared_spans, split_spans

SOURCE = "Nitrification slows when soils dry. Soil moisture below twelve per cent halves it."

words = st.sampled_from(("soil", "Moisture", "the", "of", "heat", "12", "straße", "ﬁsh", "\n", "."))
texts = st.lists(words, max_size=40).map(" ".join) | st.text(max_size=60)
spans = st.builds(
    Span,
    start=st.integers(-5, 70),
    end=st.integers(-5, 70),
    kind=st.sampled_from(("source", "rule", "flag")),
    run=st.integers(0, 3),
    note=st.sampled_from(("", "Citation: [1]")),
)


def stretches(text: str, found: tuple[Span, ...]) -> list[str]:
    return [text[span.start : span.end] for span in found]


def test_three_shared_words_are_marked_on_both_sides_with_one_number() -> None:
    text = "If SOIL MOISTURE below ten per cent holds, then nitrification slows, when cold."
    (mine,), source = shared_spans([text], SOURCE)
    assert stretches(text, mine) == ["SOIL MOISTURE below", "nitrification slows, when"]
    assert stretches(SOURCE, source) == ["Soil moisture below", "Nitrification slows when"]
    assert [span.run for span in mine] == [span.run for span in source] == [1, 2]


def test_plain_words_alone_and_two_words_are_not_marked() -> None:
    source = "There was no effect of it on the 12 of us; soil moisture fell."
    texts = ["there was no effect of it on the 12 of us", "Soil moisture rose."]
    assert shared_spans(texts, source) == (((), ()), ())


def test_texts_that_draw_on_the_same_stretch_share_its_number() -> None:
    (one, other), source = shared_spans(["soil moisture below", "so: soil moisture below"], SOURCE)
    assert one[0].run == other[0].run == 1
    assert len(source) == 1


@given(st.lists(texts, max_size=3), texts)
def test_each_stretch_has_its_like_in_the_source(mine: list[str], source: str) -> None:
    found, in_source = shared_spans(mine, source)
    theirs = {span.run: words_of(source[span.start : span.end]) for span in in_source}
    for text, marked in zip(mine, found, strict=True):
        for span in marked:
            assert words_of(text[span.start : span.end]) == theirs[span.run]


def words_of(text: str) -> list[str]:
    return "".join(c if c.isalnum() else " " for c in text).casefold().split()


@given(texts, st.lists(spans, max_size=8))
def test_the_parts_are_the_text_again(text: str, marked: list[Span]) -> None:
    parts = split_spans(text, marked)
    assert "".join(part.text for part in parts) == text
    at = 0
    for part in parts:
        inside = [
            span
            for span in marked
            if max(span.start, 0) <= at and at + len(part.text) <= span.end and part.text
        ]
        assert set(part.kinds) == {span.kind for span in inside}
        at += len(part.text)


def test_rules_are_marked_in_the_field_where_they_fired() -> None:
    evidence = [
        Evidence(Reason.CITATION, "[1]", 3, 6),
        Evidence(Reason.HAZARD, "sarin", 8, 14),
        Evidence(Reason.OFF_SOURCE, "3% of its words"),
        Evidence(Reason.LOW_SCORE, "0.2", 0, 20),
    ]
    found = rule_spans(evidence, {"hypothesis": (0, 10), "methodology": (12, 20)})
    assert found["hypothesis"] == (
        Span(3, 6, "rule", note="Citation or bracketed reference: [1]"),
        Span(8, 10, "flag", note="Hazardous synthesis or weapon: sarin"),
    )
    assert found["methodology"] == (
        Span(0, 2, "flag", note="Hazardous synthesis or weapon: sarin"),
    )


def test_what_a_judge_said_is_not_of_the_rules() -> None:
    said = [Evidence(reason, "") for reason in Reason]
    assert {one.reason.stage.value for one in of_rules(said)} == {"rules"}
