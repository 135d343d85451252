from __future__ import annotations

import pytest

from distill.logic.reasons import Reason
from distill.logic.rules.repetition import REPETITION
from tests.logic.rule_tables import GOOD, check, examined, findings, nearness, only

SENTENCE = "Wash the cells in cold buffer."
PHRASES = (
    "The growth rate of the treated cells rises at noon while the growth rate of the treated cells "
    "falls at night, and the growth rate of the treated cells stays as it was on the day before."
)


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        (f"é 🧪. {SENTENCE} Dry them. {SENTENCE}", SENTENCE[:-1]),
        (f"- {SENTENCE}\n- {SENTENCE.upper()}", SENTENCE[:-1].upper()),
        (PHRASES, "The growth rate of the"),
        ("é then " + "no " * 21, ("no " * 21).strip()),
        ("é a poly" + "a" * 21, "a" * 21),
    ],
)
def test_a_repetition_is_found(text, quoted):
    found = findings(REPETITION, text)
    assert [finding.reason for finding in found] == [Reason.REPETITION]
    assert text[found[0].start : found[0].end] == quoted


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        "1. Repeat twice.\n2. Wash.\n3. Repeat twice.\n4. Wash.",
        "The treated cells grow and the control cells do not; the treated cells die.",
        "0 " * 22,
        "AAAAAAAAAA and 10000000000000000000000000 cells",
        "|---|---|---|---|\n" + "-" * 60,
        "no " * 20,
        "a" * 20,
        "",
    ],
)
def test_a_text_that_hardly_repeats_itself_is_left_alone(text):
    check(REPETITION, text, None)


def test_three_measures_are_taken():
    row = examined(REPETITION, f"{SENTENCE} {SENTENCE}")
    assert row["repeated_sentences"] == pytest.approx(0.5)
    assert row["repeated_phrases"] == 0.0  # too short for a share
    assert row["longest_run"] == 2  # ll in cells
    assert examined(REPETITION, PHRASES)["repeated_phrases"] > 0.15


def test_every_threshold_can_be_set():
    text = f"{SENTENCE} {SENTENCE}"
    lenient = only(REPETITION).model_copy(update={"max_repeated_sentences": 0.5})
    assert not findings(REPETITION, text, lenient)
    strict = lenient.model_copy(update={"max_run": 2})
    assert findings(REPETITION, "the the the", strict)[0].detail == (
        'one word or letter 3 times in a row, at most 2 may be: "the the the"'
    )


def test_near_misses_come_near_one_of_the_thresholds():
    assert nearness(REPETITION, "a" * 20) == 1.0
    assert nearness(REPETITION, "a" * 15) == pytest.approx(0.75)
    assert nearness(REPETITION, GOOD) is None
    assert nearness(REPETITION, "a" * 21) is None
