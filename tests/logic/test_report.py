"""The report card: what is counted, what follows from it, and what it refuses to say."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from training.logic.report import Entry, Loss, Report, Scored, make_report, points
from training.logic.report_text import report_markdown

KEYS = [f"{number:032x}" for number in range(40)]


def scored(passed: bool | None = True, **more) -> Scored:
    stage, reasons = ("", ()) if passed else ("gate", ("low_score",))
    fields = {
        "completion": 1,
        "passed": passed,
        "stage": stage,
        "reasons": reasons,
        "mean_score": 0.8,
        "length": 300,
        "is_truncated": False,
    }
    return Scored(**(fields | more))


def entry(role: str, passes: int, n: int = 40, *, loss: Loss | None = None) -> Entry:
    """It passes the first so many of n samples."""
    answers = {key: scored(number < passes) for number, key in enumerate(KEYS[:n])}
    return Entry(role, f"{role}:1", "a model", answers, loss)


def report(*entries: Entry, n: int = 40) -> Report:
    return make_report(asked=KEYS[:n], entries=entries)


@pytest.mark.parametrize(
    ("student", "base", "n", "verdict", "begins"),
    [
        (30, 5, 40, "learned", "The student learned: The student passes 30 of 40, its base 5"),
        (5, 30, 40, "worse", "The student got worse than its base: The student passes 5 of 40"),
        (21, 20, 40, "same", "No difference in pass rate shown"),
        (0, 0, 40, "same", "No difference in pass rate shown: The student passes 0 of 40"),
        (9, 0, 9, "too_small", "n too small: 9 held-out samples cannot tell"),
        (1, 0, 1, "too_small", "n too small: 1 held-out sample cannot"),
        (10, 0, 10, "learned", "The student learned"),
    ],
)
def test_the_headline_says_what_the_interval_allows(student, base, n, verdict, begins) -> None:
    found = report(entry("student", student, n), entry("base", base, n), n=n)
    assert found.verdict == verdict
    assert f"{found.title}: {found.detail}".startswith(begins)


def test_losses_stand_beside_the_pass_rates_and_alone_where_there_are_none() -> None:
    student, base = Loss(2.5, 1000, 8), Loss(8.25, 1000, 8, too_long=2)
    found = report(entry("student", 0, loss=student), entry("base", 0, loss=base))
    assert "fell from 8.250 (base) to 2.500 (student)" in found.detail
    assert found.notes[0].endswith("stand in no loss: 2 (base).")
    alone = make_report(
        asked=[],
        entries=[
            Entry("student", "student:1", "m", {}, student),
            Entry("base", "base:1", "m", {}, base),
        ],
    )
    assert alone.verdict == "losses_only"
    assert alone.title == "Only losses were measured"
    assert alone.detail.startswith("Held-out loss fell")
    assert alone.standings[0].passed.why == "nothing to count"
    assert alone.standings[0].perplexity == pytest.approx(12.18, abs=0.01)
    assert Loss(1e4, 1, 1).perplexity is None


def test_stages_account_for_every_sample() -> None:
    answers = {
        KEYS[0]: scored(),
        KEYS[1]: scored(False, stage="parse", reasons=("unparseable",), mean_score=None),
        KEYS[2]: scored(False, stage="rules", reasons=("citation", "too_short"), mean_score=None),
        KEYS[3]: scored(False, stage="judge", reasons=("judge_invalid",), mean_score=None),
        KEYS[4]: scored(False, stage="", reasons=()),
        KEYS[5]: scored(None),
    }
    (found,) = make_report(
        asked=KEYS[:7], entries=[Entry("student", "student:1", "m", answers)]
    ).standings
    assert [(one.label, one.count) for one in found.stages] == [
        ("Samples", 6),
        ("Answered", 5),
        ("Parsed", 4),
        ("Passed the rules", 3),
        ("Judged", 2),
        ("Passed the gate", 1),
    ]
    assert (found.passed.count, found.passed.n) == (1, 6)
    assert (found.num_missing, found.num_undecided) == (1, 1)
    assert sum(one.count for one in found.reasons) == 3
    assert found.score.n == 2


def test_the_teacher_counts_only_where_it_has_answered_and_was_decided() -> None:
    teacher = Entry(
        "teacher",
        "offline:extractive",
        "m",
        {KEYS[0]: scored(), KEYS[1]: scored(None), KEYS[2]: scored(False)},
    )
    found = report(entry("student", 40), entry("base", 0), teacher)
    standing = found.standings[2]
    assert (standing.num_samples, standing.num_missing, standing.num_undecided) == (2, 0, 1)
    against = {one.against: one.estimate for one in found.differences}
    assert (against["teacher"].n, against["teacher"].value) == (2, 0.5)
    assert against["base"].n == 40
    assert any("1 of the teacher's answers have no verdict" in note for note in found.notes)


def test_a_small_n_is_said_plainly() -> None:
    found = report(entry("student", 10, 20), entry("base", 9, 20), n=20)
    assert "n is small (20 paired samples): only large differences can be shown." in found.notes
    assert not report(entry("student", 10), entry("base", 9)).notes


def test_the_card_in_words_has_every_number_with_its_interval_and_no_markdown_from_outside() -> (
    None
):
    found = report(
        entry("student", 30, loss=Loss(2.5, 1000, 8)), entry("base", 5, loss=Loss(8.2, 1000, 8))
    )
    beside = {"facts": [("model", "a `b` # c"), ("host", "")], "is_standin": True}
    text = report_markdown(asdict(found) | beside, title="Evaluation\n# 1")
    assert text.startswith("# Evaluation # 1\n\n**The student learned.** The student passes")
    assert "30 of 40 = 75.0 % (59.8–85.8 %)" in text
    assert "student − base: +62.5 points (+47.5 to +77.5; 40 samples)" in text
    assert "- model: `a ʼbʼ # c`" in text
    assert "host" not in text
    assert "> The offline stand-in" in text
    assert "base: 35 Judge score below the threshold" in text


def test_points_are_signed() -> None:
    assert [points(value) for value in (0.125, -0.125, 0.0, -0.0001)] == [
        "+12.5",
        "−12.5",
        "0",
        "0",
    ]
