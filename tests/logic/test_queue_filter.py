"""A queue's filter: what is refused, how it reads, what is stored."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from distill.logic.reasons import Reason
from review.logic.queue_filter import QueueFilter


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"gates": "passed"}, 'did you mean "gate"'),
        ({"gate": "maybe"}, "passed"),
        ({"reasons": ["citation"]}, "Only what the gate rejected has reasons"),
        ({"gate": "rejected", "reasons": ["ugly"]}, "citation"),
        ({"score_min": 0.8, "score_max": 0.7}, "no score fits"),
        ({"score_max": 1.2}, "out of range"),
        ({"share": 0}, "out of range"),
        ({"domains": ["x"] * 101}, "100"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        QueueFilter.model_validate(given)


def test_it_never_changes() -> None:
    with pytest.raises(ValidationError):
        QueueFilter().share = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (QueueFilter(), "passed the gate"),
        (
            QueueFilter(gate="rejected", reasons=(Reason.CITATION, Reason.TOO_SHORT)),
            "was rejected by the gate · for citation or bracketed reference or too short",
        ),
        (
            QueueFilter(
                gate="both", domains=("ecology", ""), templates=("pair",), attempts="regenerated"
            ),
            "passed or was rejected by the gate · ecology or no domain · template pair · "
            "regenerated ones",
        ),
        (
            QueueFilter(score_min=0.5, share=20),
            "passed the gate · mean score 0.50 to 1.00 · 20 % of them",
        ),
        (QueueFilter(score_max=0), "passed the gate · mean score 0.00 to 0.00"),
    ],
)
def test_it_reads_as_words(wanted: QueueFilter, words: str) -> None:
    assert wanted.describe() == words


@pytest.mark.parametrize(
    ("wanted", "takes_all"),
    [
        (QueueFilter(), True),
        (QueueFilter(gate="both"), True),
        (QueueFilter(gate="rejected"), False),
        (QueueFilter(share=99), False),
        (QueueFilter(gate="both", domains=("x",)), False),
    ],
)
def test_whether_all_that_passed_fits(wanted: QueueFilter, takes_all: bool) -> None:
    assert wanted.takes_all_passed == takes_all
