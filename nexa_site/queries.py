"""Reads over the whole site: how much there is, and what waits for whom."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Count, Exists, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from distill.http import has_role
from distill.models import (
    CompletionState,
    Export,
    ExportedCompletion,
    Label,
    Run,
    Sample,
    SampleDraw,
)
from distill.queries.runs import RunSummary, all_runs, summarise_runs
from review.queries.queues import QueueLine, queue_lines
from training.models import Evaluation, TrainingRun

NUM_RUNS = 5
NUM_EXPORTS = 5
NUM_STUDENTS = 5
_STALE_AFTER = timedelta(days=7)

_State = CompletionState.State

_FIRST_STEPS = """
SELECT EXISTS (SELECT FROM distill_dataset), EXISTS (SELECT FROM distill_recipe),
  EXISTS (SELECT FROM distill_run), EXISTS (SELECT FROM distill_label),
  EXISTS (SELECT FROM distill_export),
  EXISTS (SELECT FROM training_trainingrun WHERE state = 'done'),
  EXISTS (SELECT FROM training_evaluation WHERE state = 'done')
"""


@dataclass(frozen=True, slots=True)
class UnexportedDataset:
    """So many completions that people accepted and no export holds."""

    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Needs:
    """What waits for one person, by the roles that they have."""

    queues: tuple[QueueLine, ...] = ()
    ended_runs: tuple[Run, ...] = ()
    """Runs that failed, or stopped with work left, within the last week."""
    ended_trainings: tuple[TrainingRun, ...] = ()
    """Trainings that failed, were lost or stopped within the last week, and have no later one."""
    unexported: tuple[UnexportedDataset, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.queues or self.ended_runs or self.ended_trainings or self.unexported)


@dataclass(frozen=True, slots=True)
class FirstSteps:
    """How far a new installation is."""

    has_dataset: bool
    has_recipe: bool
    has_run: bool
    has_label: bool
    has_export: bool
    has_student: bool
    has_report_card: bool

    @property
    def is_finished(self) -> bool:
        """Whether the whole way was gone once."""
        return self.has_run and self.has_label and self.has_export and self.has_report_card


def status_counts() -> dict[str, int]:
    """How much there is on the whole site; counts a million of each in about a second.

    samples            inputs imported, over all datasets
    completions        answers of models, every attempt, imported ones included
    passed             completions that passed the gate
    rejected           completions that rules, judges or the gate rejected, those included whose
                       place a later attempt has taken
    failed             sample draws that failed: no answer came, whatever was tried
    awaiting_review    completions that passed, hold their place and have no label yet
    labelled           completions that people have decided
    exported           completions that some export holds, each counted once
    """
    # The answers of students and bases are candidates for no dataset: they are left out.
    candidates = CompletionState.objects.filter(dataset__isnull=False)
    states = candidates.order_by().values_list("state")
    by_state = dict(states.annotate(count=Count("pk")))
    return {
        "samples": Sample.objects.count(),
        "completions": sum(by_state.values()),
        "passed": by_state.get(_State.PASSED, 0),
        "rejected": by_state.get(_State.REJECTED, 0),
        "failed": SampleDraw.objects.filter(state=SampleDraw.State.FAILED).count(),
        "awaiting_review": candidates.filter(
            # Not joined: that would lead through the completions with their texts.
            ~Exists(Label.objects.filter(completion=OuterRef("pk"))),
            state=_State.PASSED,
            is_open=True,
        ).count(),
        "labelled": Label.objects.count(),
        "exported": ExportedCompletion.objects.aggregate(count=Count("completion", distinct=True))[
            "count"
        ],
    }


def active_runs() -> list[RunSummary]:
    """The runs that are queued or going on, newest first."""
    return summarise_runs(list(all_runs().filter(state__in=Run.ACTIVE)[:NUM_RUNS]))


def active_trainings() -> list[TrainingRun]:
    """The student trainings that are queued or going on, newest first."""
    return list(TrainingRun.objects.filter(state__in=TrainingRun.ACTIVE)[:NUM_RUNS])


def active_evaluations() -> list[Evaluation]:
    """The evaluations that are queued or going on, newest first."""
    active = Evaluation.objects.filter(state__in=Evaluation.ACTIVE)
    return list(active.select_related("training_run")[:NUM_RUNS])


def last_students() -> QuerySet[TrainingRun]:
    """The newest trained students, each with its newest report card that is done, if any."""
    done = Evaluation.objects.filter(training_run=OuterRef("pk"), state=Evaluation.State.DONE)
    newest = Subquery(done.order_by("-id").values("pk")[:1])
    students = TrainingRun.objects.filter(state=TrainingRun.State.DONE)
    return students.select_related("export__dataset").annotate(report_card=newest)[:NUM_STUDENTS]


def last_exports() -> QuerySet[Export]:
    """The newest exports, with `num_completions` each."""
    exports = Export.objects.select_related("dataset", "created_by").defer("manifest")
    held = ExportedCompletion.objects.filter(export=OuterRef("pk")).order_by().values("export")
    # Not joined: that would count what all exports hold, not only the newest.
    count = Subquery(held.annotate(count=Count("pk")).values("count"))
    return exports.annotate(num_completions=Coalesce(count, 0))[:NUM_EXPORTS]


def needs_of(user: User, *, now: datetime) -> Needs:
    """What waits for this person: queues, runs that ended badly, labels that nothing exports."""
    may_review = has_role(user, "reviewer", "lead", "operator")
    return Needs(
        queues=_waiting_queues(user, now) if may_review else (),
        ended_runs=tuple(_ended_runs(now)) if has_role(user, "operator") else (),
        ended_trainings=tuple(_ended_trainings(now)) if has_role(user, "operator") else (),
        unexported=_unexported() if has_role(user, "lead", "operator") else (),
    )


def first_steps() -> FirstSteps:
    """Which of the steps from a text to a report card were ever taken, in one query."""
    with connection.cursor() as cursor:
        cursor.execute(_FIRST_STEPS)
        return FirstSteps(*cursor.fetchone())


def _waiting_queues(user: User, now: datetime) -> tuple[QueueLine, ...]:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    lines = queue_lines(reviewer=user, midnight=midnight)
    return tuple(line for line in lines if line.counts.open)


def _ended_runs(now: datetime) -> QuerySet[Run]:
    pending = SampleDraw.objects.filter(run=OuterRef("pk"), state=SampleDraw.State.PENDING)
    later = Run.objects.filter(
        dataset=OuterRef("dataset"), kind=OuterRef("kind"), pk__gt=OuterRef("pk")
    )
    ended = all_runs().filter(
        ~Exists(later),
        state__in=(Run.State.FAILED, Run.State.STOPPED),
        finished_at__gt=now - _STALE_AFTER,
    )
    failed = ended.filter(state=Run.State.FAILED)
    return (failed | ended.filter(Exists(pending)))[:NUM_RUNS]


def _ended_trainings(now: datetime) -> QuerySet[TrainingRun]:
    later = TrainingRun.objects.filter(name=OuterRef("name"), pk__gt=OuterRef("pk"))
    ended = (TrainingRun.State.FAILED, TrainingRun.State.LOST, TrainingRun.State.STOPPED)
    return TrainingRun.objects.filter(
        ~Exists(later), state__in=ended, finished_at__gt=now - _STALE_AFTER
    )[:NUM_RUNS]


def _unexported() -> tuple[UnexportedDataset, ...]:
    exported = ExportedCompletion.objects.filter(completion=OuterRef("completion"))
    accepted = Label.objects.filter(
        ~Exists(exported),
        outcome=Label.Outcome.ACCEPTED,
        completion__state_row__dataset__isnull=False,
    )
    rows = (
        accepted.order_by()
        .values_list("completion__sample__dataset__name")
        .annotate(count=Count("pk"))
        .order_by("-count")
    )
    return tuple(UnexportedDataset(*row) for row in rows[:NUM_RUNS])
