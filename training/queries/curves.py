"""What a training measured, step by step, thinned to what a plot can show."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
from django.db.models import Avg, F, FloatField, Max
from django.db.models.fields.json import KT
from django.db.models.functions import Cast

from training.models import Metric, TrainingRun

MAX_POINTS = 300

Points = list[tuple[float, float]]

_AVERAGED = ("loss", "learning_rate", "tokens_per_second")


@dataclass(frozen=True, slots=True)
class Curves:
    """Points (step, value). Where steps were many, a point is the mean of `steps_a_point`."""

    train: Points
    held_out: Points
    learning_rate: Points
    tokens_per_second: Points
    steps_a_point: int


def last_points(run: TrainingRun) -> str:
    """Changes when there is a new point to plot; two reads of an index.

    All metrics are read for a plot, so a long training's must not be made anew at every step.
    """
    return ".".join(_last_point(run, kind) for kind in (Metric.Kind.TRAIN, Metric.Kind.VALIDATION))


def _last_point(run: TrainingRun, kind: str) -> str:
    step = _last_step(run, kind)
    return f"{step // _points_apart(step)}"


def read_curves(run: TrainingRun) -> Curves:
    """All curves of a training run, in four queries, at most `MAX_POINTS` points each."""
    width = _width(run, Metric.Kind.TRAIN)
    train = _thinned(run, Metric.Kind.TRAIN, width)
    held_out = _thinned(run, Metric.Kind.VALIDATION, _width(run, Metric.Kind.VALIDATION))
    return Curves(
        train=_points(train, "loss"),
        held_out=_points(held_out, "loss"),
        learning_rate=_points(train, "learning_rate"),
        tokens_per_second=_points(train, "tokens_per_second"),
        steps_a_point=width,
    )


def each_metric(run: TrainingRun) -> Iterator[bytes]:
    """Every metric as a line of JSON, in the order of steps."""
    rows = run.metrics.order_by("step", "kind").values_list("kind", "step", "at", "values")
    for kind, step, at, values in rows.iterator(chunk_size=2_000):
        line = {"kind": kind, "step": step, "at": at} | values
        yield orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _last_step(run: TrainingRun, kind: str) -> int:
    steps = run.metrics.filter(kind=kind).order_by("-step").values_list("step", flat=True)
    return steps.first() or 0


def _width(run: TrainingRun, kind: str) -> int:
    return _points_apart(_last_step(run, kind))


def _points_apart(last_step: int) -> int:
    return max(1, math.ceil(last_step / MAX_POINTS))


def _thinned(run: TrainingRun, kind: str, width: int) -> list[dict[str, Any]]:
    """The means over `width` steps each, at the last of them."""
    means = {name: Avg(Cast(KT(f"values__{name}"), FloatField())) for name in _AVERAGED}
    rows = (
        run.metrics.filter(kind=kind)
        .order_by()
        .annotate(part=(F("step") - 1) / width)
        .values("part")
        .annotate(at_step=Max("step"), **means)
        .order_by("part")
    )
    return [dict(row) for row in rows]


def _points(rows: list[dict[str, Any]], name: str) -> Points:
    return [
        (row["at_step"], row[name])
        for row in rows
        if row[name] is not None and math.isfinite(row[name])
    ]
