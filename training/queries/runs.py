"""Training runs as lists show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import F, Func, OuterRef, QuerySet, Subquery
from django.db.models.fields.json import KT

from training.models import Evaluation, Metric, TrainingRun


@dataclass(frozen=True, slots=True)
class TrainingLine:
    """A training run of a list, and what it measured last."""

    run: TrainingRun
    train_loss: float | None
    held_out_loss: float | None

    @property
    def student(self) -> str:
        return str(self.run.spec["student"])

    @property
    def took(self) -> timedelta | None:
        return took(self.run)


def all_training_runs() -> QuerySet[TrainingRun]:
    """Every training run with what pages show of it."""
    return TrainingRun.objects.select_related("export__dataset", "dataset", "created_by")


def find_training_runs(*, state: str = "", tag: str = "") -> QuerySet[TrainingRun]:
    """The training runs in a state, with a tag; empty means any. With their last losses."""
    found = all_training_runs().defer("export__manifest", "result")
    if state:
        found = found.filter(state=state)
    if tag:
        found = found.filter(tags__contains=[tag])
    return found.annotate(
        train_loss=_last_loss(Metric.Kind.TRAIN), held_out_loss=_last_loss(Metric.Kind.VALIDATION)
    )


def list_training_lines(runs: Sequence[TrainingRun]) -> list[TrainingLine]:
    """The lines of runs that `find_training_runs` found."""
    return [TrainingLine(run, vars(run)["train_loss"], vars(run)["held_out_loss"]) for run in runs]


def used_tags() -> list[str]:
    """Every tag that a training run carries, in the order of the alphabet."""
    tags = TrainingRun.objects.annotate(tag=Func(F("tags"), function="unnest"))
    return sorted(set(tags.order_by().values_list("tag", flat=True)))


def took(run: TrainingRun) -> timedelta | None:
    """How long it took from its start to its end; None while it has no end."""
    if run.started_at is None or run.finished_at is None:
        return None
    return run.finished_at - run.started_at


def trained_on(run: TrainingRun) -> str:
    """The name of what it trains on."""
    return str(run.export) if run.export is not None else str(run.source.get("name", ""))


def list_evaluations(run: TrainingRun) -> QuerySet[Evaluation]:
    """The training's evaluations, newest first, each with its report's `headline` alone."""
    return run.evaluations.defer("report").annotate(headline=KT("report__headline"))


def _last_loss(kind: str) -> Subquery:
    measured = Metric.objects.filter(training_run=OuterRef("pk"), kind=kind, values__has_key="loss")
    return Subquery(measured.order_by("-step").values("values__loss")[:1])
