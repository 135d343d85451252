"""How a training is doing: what its page asks for every two seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from training.models import Metric, TrainingRun

QUIET_AFTER = timedelta(seconds=30)
"""A watcher beats every second or so; silent for so long, it is probably gone."""

_NUM_RECENT = 20
_MOVING = (TrainingRun.State.PREPARING, TrainingRun.State.RUNNING, TrainingRun.State.STOPPING)


@dataclass(frozen=True, slots=True)
class Live:
    """Where a training is, and what it measured last."""

    train_loss: float | None
    held_out_loss: float | None
    tokens: int | None
    """Read by the student since its first step."""
    tokens_per_second: float | None
    seconds_left: int | None
    """From the pace of the last steps; None while nobody can tell."""
    has_measured: bool
    is_untaken: bool
    """Queued for a while, and no worker has ever taken it."""
    is_quiet: bool
    """Somebody should watch it, but has said nothing for a while."""


def live_training(run: TrainingRun, *, now: datetime) -> Live:
    """How far the training is, in two reads of an index."""
    recent = _recent(run, Metric.Kind.TRAIN, _NUM_RECENT)
    held_out = _recent(run, Metric.Kind.VALIDATION, 1)
    measured: dict[str, Any] = recent[0].values if recent else {}
    is_silent = now - (run.heartbeat_at or run.created_at) > QUIET_AFTER
    return Live(
        train_loss=measured.get("loss"),
        held_out_loss=held_out[0].values.get("loss") if held_out else None,
        tokens=measured.get("tokens"),
        tokens_per_second=measured.get("tokens_per_second"),
        seconds_left=_seconds_left(run, recent) if run.state == run.State.RUNNING else None,
        has_measured=bool(recent or held_out),
        is_untaken=run.state == run.State.QUEUED and run.started_at is None and is_silent,
        is_quiet=run.state in _MOVING and is_silent,
    )


def _recent(run: TrainingRun, kind: str, count: int) -> list[Metric]:
    return list(run.metrics.filter(kind=kind).order_by("-step")[:count])


def _seconds_left(run: TrainingRun, recent: list[Metric]) -> int | None:
    if run.max_steps is None or len(recent) < 2:
        return None
    first, last = recent[-1], recent[0]
    pace = (last.at - first.at).total_seconds() / (last.step - first.step)
    return math.ceil(pace * max(0, run.max_steps - last.step))
