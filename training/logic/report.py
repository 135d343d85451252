"""The report card of an evaluation: what was measured of each contender, and what follows from it.

Computed once, at the end, and stored as JSON (`asdict`). Every rate and mean has its interval.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from distill.logic.reasons import Reason, Stage
from training.logic.intervals import Estimate, mean, paired_difference, rate

ROLES = ("student", "base", "teacher")

FEWEST = 10
"""Fewer paired samples say nothing: Wilson's interval of 5 in 10 reaches from 24 % to 76 %."""

FEW = 30
"""Below it the card warns: of 30, the interval of a half is still ± 17 points wide."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Mean negative log-likelihood of the held-out rows' answers, in nats a token."""

    loss: float
    tokens: int
    rows: int
    too_long: int = 0

    @property
    def perplexity(self) -> float | None:
        """exp(loss); None where that is no number any more."""
        return math.exp(self.loss) if self.loss < 700 else None


@dataclass(frozen=True, slots=True)
class Scored:
    """One contender's answer to one sample. `passed` is None where no verdict could be had."""

    completion: int
    passed: bool | None
    stage: str
    reasons: tuple[str, ...]
    mean_score: float | None
    length: int
    """Characters of the answer as it arrived."""
    is_truncated: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of a contender before anything is reckoned; `answers` by sample key."""

    role: str
    name: str
    model: str
    answers: Mapping[str, Scored]
    loss: Loss | None = None


@dataclass(frozen=True, slots=True)
class Passing:
    """How many got as far as this."""

    label: str
    count: int


@dataclass(frozen=True, slots=True)
class Standing:
    """One contender on the card. Lengths are in characters.

    `num_samples` are those that count: asked, and decided; `num_missing` of them got no answer and
    count as not passed; `num_undecided` got no verdict and do not count.
    """

    role: str
    name: str
    model: str
    num_samples: int
    num_missing: int
    num_undecided: int
    passed: Estimate
    stages: list[Passing]
    reasons: list[Passing]
    score: Estimate
    length: Estimate
    truncated: Estimate
    loss: Loss | None
    perplexity: float | None


@dataclass(frozen=True, slots=True)
class Difference:
    """The student's pass rate minus another contender's, over the samples that both answered."""

    against: str
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class Report:
    """The card. `verdict`: learned, worse, same, too_small, or losses_only.

    `headline` is its words and the numbers that it follows from: `title` and `detail`.
    """

    verdict: str
    headline: str
    title: str
    detail: str
    standings: list[Standing]
    differences: list[Difference]
    notes: list[str]
    samples: list[dict[str, object]]


def make_report(
    *, asked: Sequence[str], entries: Sequence[Entry], notes: Sequence[str] = ()
) -> Report:
    """Reckon the card. `asked` are the keys of the samples, in their order."""
    standings = [_standing(entry, asked) for entry in entries]
    differences = _differences(entries, asked)
    verdict, title, detail = _conclude(standings, differences)
    return Report(
        verdict=verdict,
        headline=f"{title}. {detail}".strip(),
        title=title,
        detail=detail,
        standings=standings,
        differences=differences,
        notes=[*notes, *_warnings(standings, differences)],
        samples=[_side_by_side(key, entries) for key in asked],
    )


def _standing(entry: Entry, asked: Sequence[str]) -> Standing:
    given = [entry.answers[key] for key in asked if key in entry.answers]
    decided = [one for one in given if one.passed is not None]
    # The teacher is not asked for this: only the samples that it has answered count.
    missing = 0 if entry.role == "teacher" else len(asked) - len(given)
    total = len(decided) + missing
    return Standing(
        role=entry.role,
        name=entry.name,
        model=entry.model,
        num_samples=total,
        num_missing=missing,
        num_undecided=len(given) - len(decided),
        passed=rate(sum(bool(one.passed) for one in decided), total),
        stages=_stages(decided, total),
        reasons=_reasons(decided),
        score=mean([one.mean_score for one in decided if one.mean_score is not None]),
        length=mean([one.length for one in given]),
        truncated=rate(sum(one.is_truncated for one in given), len(given)),
        loss=entry.loss,
        perplexity=entry.loss.perplexity if entry.loss else None,
    )


_STEPS: tuple[tuple[str, str], ...] = (
    ("Parsed", Stage.PARSE),
    ("Passed the rules", Stage.RULES),
    ("Judged", Stage.JUDGE),
    ("Passed the gate", Stage.GATE),
)


def _stages(decided: Sequence[Scored], total: int) -> list[Passing]:
    """How many reached each stage; a rejection without a stage counts for the gate."""
    lost = Counter(one.stage or Stage.GATE for one in decided if not one.passed)
    left = len(decided)
    passing = [Passing("Samples", total), Passing("Answered", left)]
    for label, stage in _STEPS:
        left -= lost[stage]
        passing.append(Passing(label, left))
    return passing


def _reasons(decided: Sequence[Scored]) -> list[Passing]:
    """The first reason of each rejection, most frequent first."""
    first = Counter(one.reasons[0] for one in decided if not one.passed and one.reasons)
    ordered = sorted(first.items(), key=lambda pair: (-pair[1], pair[0]))
    return [Passing(Reason(code).label, count) for code, count in ordered]


def _differences(entries: Sequence[Entry], asked: Sequence[str]) -> list[Difference]:
    by_role = {entry.role: entry for entry in entries}
    student = by_role.get("student")
    if student is None:
        return []
    return [
        Difference(role, _paired(student, by_role[role], asked))
        for role in ("base", "teacher")
        if role in by_role
    ]


def _paired(student: Entry, other: Entry, asked: Sequence[str]) -> Estimate:
    pairs = [(_passed(student, key), _passed(other, key)) for key in asked]
    both = [(one, two) for one, two in pairs if one is not None and two is not None]
    return paired_difference([one for one, _ in both], [two for _, two in both])


def _passed(entry: Entry, key: str) -> bool | None:
    """A question that a student or base left unanswered is not passed; the teacher was not asked."""
    if key not in entry.answers:
        return None if entry.role == "teacher" else False
    return entry.answers[key].passed


def _conclude(
    standings: Sequence[Standing], differences: Sequence[Difference]
) -> tuple[str, str, str]:
    """The verdict, its words, and the numbers that it follows from."""
    losses = _loss_sentence(standings)
    found = next((one.estimate for one in differences if one.against == "base"), None)
    if found is None or found.value is None or found.low is None or found.high is None:
        return "losses_only", "Only losses were measured", losses
    student, base = (one for one in standings if one.role in ("student", "base"))
    verdict, title = _verdict(found.n, found.low, found.high)
    passes = (
        f"The student passes {_share(student)}, its base {_share(base)} "
        f"({points(found.low)} to {points(found.high)} percentage points, 95 % interval)."
    )
    return verdict, title, f"{passes} {losses}".strip()


def _verdict(n: int, low: float, high: float) -> tuple[str, str]:
    if n < FEWEST:
        return "too_small", f"n too small: {n} held-out sample{'s' * (n != 1)} cannot tell"
    if low > 0:
        return "learned", "The student learned"
    if high < 0:
        return "worse", "The student got worse than its base"
    return "same", "No difference in pass rate shown"


def _share(standing: Standing) -> str:
    return f"{standing.passed.count} of {standing.passed.n}"


def points(fraction: float) -> str:
    """A difference of shares in percentage points, signed: −12.5"""
    value = round(100 * fraction, 1) + 0.0
    return f"{'−' if value < 0 else '+' if value > 0 else ''}{abs(value):g}"


def _loss_sentence(standings: Sequence[Standing]) -> str:
    found = {one.role: one.loss for one in standings if one.loss}
    if "student" not in found or "base" not in found:
        return ""
    before, after = found["base"].loss, found["student"].loss
    verb = "fell" if after < before else "rose" if after > before else "stayed"
    return f"Held-out loss {verb} from {before:.3f} (base) to {after:.3f} (student) nats a token."


def _warnings(standings: Sequence[Standing], differences: Sequence[Difference]) -> list[str]:
    checks: tuple[Callable[[Standing], str], ...] = (_missing, _undecided)
    found = [text for check in checks for one in standings if (text := check(one))]
    found += _too_long(standings)
    smallest = min((one.estimate.n for one in differences if one.estimate.n), default=0)
    if FEWEST <= smallest < FEW:
        found.append(
            f"n is small ({smallest} paired samples): only large differences can be shown."
        )
    return found


def _missing(one: Standing) -> str:
    if not one.num_missing:
        return ""
    return f"The {one.role} left {one.num_missing} unanswered: these count as not passed."


def _undecided(one: Standing) -> str:
    if not one.num_undecided:
        return ""
    return (
        f"{one.num_undecided} of the {one.role}'s answers have no verdict (a judge was not reached, "
        "or no gate decided them) and do not count; its pass rate is of the others."
    )


def _too_long(standings: Sequence[Standing]) -> list[str]:
    found = [
        f"{one.loss.too_long} ({one.role})" for one in standings if one.loss and one.loss.too_long
    ]
    if not found:
        return []
    return [f"Held-out rows that are longer than max_length stand in no loss: {', '.join(found)}."]


def _side_by_side(key: str, entries: Sequence[Entry]) -> dict[str, object]:
    answers = {
        entry.role: {
            "completion": one.completion,
            "passed": one.passed,
            "stage": one.stage,
            "reasons": list(one.reasons),
            "mean_score": one.mean_score,
        }
        for entry in entries
        if (one := entry.answers.get(key))
    }
    return {"sample": key, **answers}
