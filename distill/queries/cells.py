"""Counting where sample draws ended: the few numbers that balance and waterfall are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import (
    Case,
    Count,
    Exists,
    F,
    Func,
    OuterRef,
    QuerySet,
    TextField,
    Value,
    When,
)

from distill.logic.reasons import Reason
from distill.models import Completion, CompletionState, Dataset, Run, Sample, SampleDraw

_State = SampleDraw.State
_OF_TEACHERS = Completion.objects.exclude(origin=Completion.Origin.EVALUATED)


@dataclass(frozen=True, slots=True)
class Cell:
    """So many sample draws that ended in the same place.

    `stage` and `reason` are the first failing stage and the first reason found there; `outcome`,
    `basis` and `people_reason` are what people said. `is_flagged`: no export takes it until a person
    accepts it.
    """

    state: str
    count: int
    stage: str = ""
    reason: str = ""
    failure_kind: str = ""
    outcome: str = ""
    basis: str = ""
    people_reason: str = ""
    attempt: int | None = None
    is_flagged: bool = False


def count_run(run: Run) -> list[Cell]:
    """The cells of one run, in one query."""
    rows = (
        SampleDraw.objects.filter(run=run)
        .order_by()
        .values(
            "state",
            "failure_kind",
            stage=F("verdict__stage"),
            reason=F("verdict__reasons__0"),
            outcome=F("completion__label__outcome"),
            basis=F("completion__label__basis"),
            people_reason=F("completion__label__decision__reasons__0"),
            attempt=F("completion__attempt"),
            is_flagged=_flagged("completion__state_row__flags"),
        )
        .annotate(count=Count("pk"))
    )
    return [_cell(row) for row in rows]


def count_dataset(dataset: Dataset) -> list[Cell]:
    """The cells of a dataset: open completions, sample draws without any, untouched samples."""
    completions = (
        CompletionState.objects.filter(dataset=dataset, is_open=True)
        .order_by()
        .values(
            "state",
            stage=F("verdict__stage"),
            reason=F("verdict__reasons__0"),
            outcome=F("completion__label__outcome"),
            basis=F("completion__label__basis"),
            people_reason=F("completion__label__decision__reasons__0"),
            attempt=F("completion__attempt"),
            is_flagged=_flagged("flags"),
        )
        .annotate(count=Count("pk"))
    )
    cells = [_cell(row | {"state": _DRAW_STATE[row["state"]]}) for row in completions]
    unanswered = _unanswered(dataset).values_list("state", "failure_kind").annotate(Count("pk"))
    cells += [Cell(state, count, failure_kind=kind) for state, kind, count in unanswered]
    return [*cells, Cell(_State.PENDING, _count_untouched(dataset))]


_DRAW_STATE: dict[str, SampleDraw.State] = {
    CompletionState.State.NEW: _State.ANSWERED,
    CompletionState.State.FILTERED: _State.FILTERED,
    CompletionState.State.PASSED: _State.PASSED,
    CompletionState.State.REJECTED: _State.REJECTED,
}


def _flagged(path: str) -> Case:
    return Case(When(**{f"{path}__len__gt": 0}, then=Value(value=True)), default=Value(value=False))


def _unanswered(dataset: Dataset) -> QuerySet[SampleDraw]:
    """The sample draws without any completion, each as its latest run left it."""
    answered = _OF_TEACHERS.filter(sample=OuterRef("sample"), draw=OuterRef("draw"))
    latest = (
        SampleDraw.objects.filter(~Exists(answered), run__dataset=dataset)
        .exclude(run__kind=Run.Kind.EVALUATE)
        .order_by("sample_id", "draw", "-run_id")
        .distinct("sample_id", "draw")
    )
    return SampleDraw.objects.filter(pk__in=latest.values("pk")).order_by()


def _count_untouched(dataset: Dataset) -> int:
    draws = SampleDraw.objects.filter(sample=OuterRef("pk")).exclude(run__kind=Run.Kind.EVALUATE)
    completions = _OF_TEACHERS.filter(sample=OuterRef("pk"))
    return Sample.objects.filter(~Exists(draws), ~Exists(completions), dataset=dataset).count()


def _cell(row: Mapping[str, Any]) -> Cell:
    return Cell(**{name: value for name, value in row.items() if value is not None})


class _Unnest(Func):
    function = "unnest"
    set_returning = True
    output_field = TextField()


def count_reasons(
    rejected: QuerySet[SampleDraw] | QuerySet[CompletionState],
) -> tuple[tuple[Reason, int], ...]:
    """Every reason that the verdicts gave, most frequent first."""
    rows = rejected.annotate(reason=_Unnest(F("verdict__reasons"))).values_list("reason")
    counted = rows.annotate(count=Count("pk")).order_by("-count", "reason")
    return tuple((Reason(reason), count) for reason, count in counted)
