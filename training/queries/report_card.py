"""What the page of an evaluation shows: how far it is, its report card, answers side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from distill.models import Completion, Run, Sample, SampleDraw
from distill.queries.progress import count_states
from training.logic.report import ROLES
from training.logic.report_text import average, difference, share
from training.models import Evaluation

PAGE_SIZE = 3
QUIET_AFTER = timedelta(seconds=30)
"""Who follows it beats every second or so."""

_State = Evaluation.State

Interval = tuple[str, float | None, float | None, float | None, str, str | None]
"""A row of components/intervals.html."""


@dataclass(frozen=True, slots=True)
class LiveEvaluation:
    """How far it is: answers while it is answering, verdicts while it is scoring."""

    done: int
    total: int
    is_untaken: bool
    """Queued for a while, and no worker has taken it."""
    is_quiet: bool
    """Somebody should follow it, but has said nothing for a while."""


@dataclass(frozen=True, slots=True)
class ReportCard:
    """The stored report as charts and tables take it."""

    report: Mapping[str, Any]
    pass_rates: list[Interval]
    differences: list[Interval]
    losses: list[tuple[str, float, None]]
    rows: list[tuple[str, list[tuple[str, str]]]]
    """What is measured, and each contender's role and number."""
    stages: list[tuple[str, list[int]]]
    scoring_runs: dict[str, int]


@dataclass(frozen=True, slots=True)
class Side:
    """One contender's answer to a sample; `verdict` as the report has it."""

    role: str
    completion: Completion
    verdict: Mapping[str, Any]

    @property
    def fields(self) -> list[tuple[str, str]]:
        """The parsed fields by name, else the answer as it arrived."""
        found = [(name, str(text)) for name, text in self.completion.fields.items()]
        return found or [("answer", self.completion.text)]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A sample and what each contender answered."""

    number: int
    sample: Sample
    sides: list[Side]


@dataclass(frozen=True, slots=True)
class ComparisonPage:
    """Some samples side by side; `previous` and `next` are where other pages begin."""

    comparisons: list[Comparison]
    total: int
    start: int
    previous: int | None
    next: int | None


def all_evaluations() -> QuerySet[Evaluation]:
    """Every evaluation with what its page shows of it."""
    return Evaluation.objects.select_related(
        "training_run__dataset", "training_run__export__dataset", "recipe", "created_by"
    )


def live_evaluation(evaluation: Evaluation, *, now: datetime) -> LiveEvaluation:
    """How far the evaluation is, in no more than three queries."""
    done, total = evaluation.num_answered, evaluation.num_wanted
    if evaluation.state == _State.SCORING:
        done, total = _count_scored(evaluation)
    is_silent = now - (evaluation.heartbeat_at or evaluation.created_at) > QUIET_AFTER
    is_queued = evaluation.state == _State.QUEUED
    return LiveEvaluation(
        done=done,
        total=total,
        is_untaken=is_queued and is_silent,
        is_quiet=evaluation.is_active and not is_queued and is_silent,
    )


def _count_scored(evaluation: Evaluation) -> tuple[int, int]:
    done = total = 0
    for run in Run.objects.filter(pk__in=evaluation.contenders.values("run")):
        counts = count_states(run)
        total += sum(counts.values())
        done += sum(counts.values()) - counts.get(SampleDraw.State.PENDING, 0)
    return done, total


def report_card(evaluation: Evaluation) -> ReportCard | None:
    """The card of an evaluation that is done, in one query."""
    report: Mapping[str, Any] = evaluation.report
    if not report:
        return None
    standings: list[Mapping[str, Any]] = report["standings"]
    scored = evaluation.contenders.filter(run__isnull=False)
    return ReportCard(
        report=report,
        pass_rates=[
            _interval(one["role"], one["passed"], share(one["passed"]))
            for one in standings
            if one["passed"]["n"]
        ],
        differences=[
            _interval(f"student − {one['against']}", one["estimate"], difference(one["estimate"]))
            for one in report["differences"]
            if one["estimate"]["n"]
        ],
        losses=[(one["role"], one["loss"]["loss"], None) for one in standings if one["loss"]],
        rows=_rows(standings),
        stages=_stages(standings),
        scoring_runs=dict(scored.values_list("role", "run")),
    )


def _interval(label: str, estimate: Mapping[str, Any], words: str) -> Interval:
    return label, estimate["value"], estimate["low"], estimate["high"], words, None


def _rows(standings: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Each measure with its interval, contender by contender."""
    measures: tuple[tuple[str, Callable[[Mapping[str, Any]], str]], ...] = (
        ("Held-out loss, nats a token", _loss),
        ("Perplexity", _perplexity),
        ("Judge's score", lambda one: average(one["score"], 2)),
        ("Length, characters", lambda one: average(one["length"], 0)),
        ("Cut off", lambda one: share(one["truncated"]) if one["truncated"]["n"] else "–"),
    )
    return [(name, [(one["role"], write(one)) for one in standings]) for name, write in measures]


def _loss(one: Mapping[str, Any]) -> str:
    loss = one["loss"]
    return f"{loss['loss']:.3f} ({loss['tokens']:,} tokens)" if loss else "–"


def _perplexity(one: Mapping[str, Any]) -> str:
    return "–" if one["perplexity"] is None else f"{one['perplexity']:,.2f}"


def _stages(standings: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[int]]]:
    if not any(one["num_samples"] for one in standings):
        return []
    columns = [[stage["count"] for stage in one["stages"]] for one in standings]
    labels = [stage["label"] for stage in standings[0]["stages"]]
    return [(label, list(counts)) for label, *counts in zip(labels, *columns, strict=True)]


# --- side by side ---


def compare(report: Mapping[str, Any], *, only: str, start: int) -> ComparisonPage:
    """A page of samples with every contender's answer, in two queries.

    `only` is "differ" (not all passed or failed together), "failed" (the student did not pass), or
    empty: all. Samples and completions that are gone are left out.
    """
    wanted = [one for one in enumerate(report["samples"], 1) if _is_wanted(one[1], only)]
    start = min(max(start, 0), max(len(wanted) - 1, 0)) // PAGE_SIZE * PAGE_SIZE
    shown = wanted[start : start + PAGE_SIZE]
    return ComparisonPage(
        comparisons=_comparisons(shown),
        total=len(wanted),
        start=start,
        previous=start - PAGE_SIZE if start else None,
        next=start + PAGE_SIZE if start + PAGE_SIZE < len(wanted) else None,
    )


def _is_wanted(line: Mapping[str, Any], only: str) -> bool:
    passed = [line[role]["passed"] for role in ROLES if role in line]
    if only == "differ":
        return True in passed and False in passed
    if only == "failed":
        return "student" not in line or line["student"]["passed"] is False
    return True


def _comparisons(shown: Sequence[tuple[int, Mapping[str, Any]]]) -> list[Comparison]:
    ids = [line[role]["completion"] for _, line in shown for role in ROLES if role in line]
    completions = Completion.objects.select_related("sample").in_bulk(ids)
    return [
        Comparison(number, sides[0].completion.sample, sides)
        for number, line in shown
        if (sides := list(_sides(line, completions)))
    ]


def _sides(line: Mapping[str, Any], completions: Mapping[int, Completion]) -> Iterable[Side]:
    for role in ROLES:
        found = completions.get(line[role]["completion"]) if role in line else None
        if found is not None:
            yield Side(role, found, line[role])
