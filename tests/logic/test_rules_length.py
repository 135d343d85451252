from __future__ import annotations

import pytest

from distill.logic.reasons import Reason
from distill.logic.rules import RulesConfig
from distill.logic.rules.length import EMPTY_FIELD, TOO_LONG, TOO_SHORT
from tests.logic.rule_tables import CONFIG, check, examined, findings, nearness, only

SHORT, LONG = Reason.TOO_SHORT, Reason.TOO_LONG


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
    config = only(TOO_SHORT).model_copy(update={"min_chars": 1, "min_tokens": 0})
    assert not findings(TOO_SHORT, "xx", config)


def test_tokens_are_the_providers_where_it_counted_them():
    assert not findings(TOO_SHORT, "x" * 200, tokens=20)
    found = findings(TOO_SHORT, "x" * 200, tokens=19)
    assert found[0].detail == "19 tokens, at least 20 are needed"


def test_else_tokens_are_estimated_and_said_to_be():
    config = only(TOO_SHORT).model_copy(update={"min_tokens": 80})
    assert not findings(TOO_SHORT, "x" * 317, config)
    found = findings(TOO_SHORT, "x" * 316, config)
    assert found[0].detail == "about 79 tokens (estimated), at least 80 are needed"


def test_a_measure_says_which_tokens_they_are():
    row = examined(TOO_SHORT, "x" * 201)
    assert (row["chars"], row["token_count"], row["is_token_estimate"]) == (201, 51, 1)


@pytest.mark.parametrize(
    ("text", "tokens", "detail"),
    [
        ("é" * 12_001, None, "12,001 characters, at most 12,000 are allowed"),
        ("x" * 9, 8_193, "8,193 tokens, at most 8,192 are allowed"),
    ],
)
def test_a_text_can_be_too_long_in_characters_and_in_tokens(text, tokens, detail):
    found = findings(TOO_LONG, text, tokens=tokens)
    assert [(finding.reason, finding.detail) for finding in found] == [(LONG, detail)]


def test_an_estimate_that_is_too_long_is_labelled():
    config = only(TOO_LONG).model_copy(update={"max_tokens": 10})
    found = findings(TOO_LONG, "x" * 41, config)
    assert found[0].detail == "about 11 tokens (estimated), at most 10 are allowed"


@pytest.mark.parametrize(("text", "tokens"), [("x" * 12_000, None), ("x", 8_192), ("", None)])
def test_a_text_up_to_the_limits_is_not_too_long(text, tokens):
    assert not findings(TOO_LONG, text, tokens=tokens)


def test_near_misses_are_those_close_to_a_threshold():
    assert nearness(TOO_SHORT, "x" * 120) is None
    assert nearness(TOO_SHORT, "x" * 150) == pytest.approx(0.8)
    assert nearness(TOO_SHORT, "x" * 1000) is None
    assert nearness(TOO_LONG, "x" * 11_400) == pytest.approx(0.95)
    assert nearness(TOO_LONG, "x" * 12_001) is None
    assert nearness(TOO_LONG, "x" * 100) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("min_chars", -1),
        ("max_chars", 0),
        ("min_tokens", -1),
        ("max_tokens", 0),
        ("min_field_chars", 201),
        ("max_hedges", -1),
        ("max_hedges_per_100_words", 101),
        ("max_repeated_sentences", 1.1),
        ("max_repeated_phrases", -0.1),
        ("max_run", 1),
        ("language", "xx"),
        ("max_foreign_words", 2),
        ("max_foreign_letters", float("nan")),
    ],
)
def test_a_value_outside_its_range_is_refused(field, value):
    with pytest.raises(ValueError, match=field):
        RulesConfig(**{field: value})


PAIR = {
    "hypothesis": "Warmer water lowers the growth of kelp.",
    "methodology": "1. Hold kelp in tanks.",
}


@pytest.mark.parametrize(
    "said",
    [
        "N/A",
        "n/a.",
        "None",
        "-",
        "—",
        "...",
        "as above",
        "See above.",
        "same as hypothesis",
        "Not applicable",
        "no hypothesis possible",
        "to be determined",
        "TBD",
        "Hypothesis",
        "**Hypothesis:**",
        "## Hypothesis\nN/A",
        "The hypothesis: none",
        "It grows.",
        "é" * 19,
        "\0",
    ],
)
def test_a_field_that_says_nothing_is_found_where_it_is(said):
    fields = PAIR | {"hypothesis": said}
    text = "🧪 " + "\n\n".join(fields.values())
    found = findings(EMPTY_FIELD, text, fields=fields)
    assert [finding.reason for finding in found] == [Reason.EMPTY_FIELD]
    assert found[0].detail.startswith('the hypothesis says only "')
    assert text[found[0].start : found[0].end] == said


def test_the_method_is_a_field_too():
    fields = PAIR | {"methodology": "See above"}
    found = findings(EMPTY_FIELD, "\n\n".join(fields.values()), fields=fields)
    assert found[0].detail == 'the methodology says only "See above"'


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"rationale": "N/A"},
        {"hypothesis": PAIR["hypothesis"]},
        {"methodology": PAIR["methodology"]},
        PAIR,
        {"hypothesis": "None of the treated kelp grows above 20 °C."},
        {"hypothesis": "Unknown receptors bind auxin in kelp."},
        {"hypothesis": "As above 20 °C, growth stops below 5 °C."},
        {"hypothesis": "温度が上がると昆布の成長は遅くなると予測され、測定できる。"},
    ],
)
def test_a_field_that_says_something_or_is_not_asked_for_is_left_alone(fields):
    assert not findings(EMPTY_FIELD, "\n\n".join(fields.values()), fields=fields)


def test_the_shortest_field_is_measured():
    text = "\n\n".join(PAIR.values())
    row = examined(EMPTY_FIELD, text, **PAIR)
    assert row["field_chars"] == len(PAIR["methodology"])
    assert examined(EMPTY_FIELD, text)["field_chars"] is None
    assert CONFIG.min_field_chars == 20
