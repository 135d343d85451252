"""Take what a training's program has measured since the last time into the database."""

from __future__ import annotations

import logging
import uuid
from datetime import datetime
from typing import Any

from training.logic.events import read_events
from training.logic.layout import TrainingLayout
from training.models import Metric, TrainingRun
from training.services import lease

logger = logging.getLogger(__name__)

CHUNK_BYTES = 4_000_000
_BESIDE = frozenset({"kind", "step", "at", "max_steps"})
_FACTS = ("num_rows", "num_tokens", "num_parameters", "device", "world_size", "versions")


def read_metrics(*, run: TrainingRun, token: uuid.UUID, layout: TrainingLayout) -> None:
    """Read on where the last call ended; `run` is brought up to date too.

    A step measured again replaces its metric. A last line without its end is left for the next
    call, one that is no event is left out; a file that has become shorter is read anew. Where it
    was read to is committed with the metrics. Raises LeaseLostError.
    """
    while chunk := _next_chunk(run, layout):
        events, num_others = read_events(chunk)
        if num_others:
            logger.warning("%s: %s lines of metrics are no events", run, num_others)
        with lease.holding(TrainingRun, pk=run.pk, token=token):
            _store(run, events)
            run.metrics_offset += len(chunk)
            for event in events:
                _note(run, event)
            run.save(update_fields=["metrics_offset", "step", "max_steps", "result"])


def _next_chunk(run: TrainingRun, layout: TrainingLayout) -> bytes:
    """Whole lines that were not read yet; empty where there are none.

    A line that fills a whole chunk comes in pieces, which are no events.
    """
    try:
        size = layout.metrics.stat().st_size
    except FileNotFoundError:
        return b""
    if size < run.metrics_offset:
        run.metrics_offset = 0
    if size == run.metrics_offset:
        return b""
    with layout.metrics.open("rb") as file:
        file.seek(run.metrics_offset)
        chunk = file.read(CHUNK_BYTES)
    end = chunk.rfind(b"\n") + 1
    return chunk[:end] if end or len(chunk) < CHUNK_BYTES else chunk


def _store(run: TrainingRun, events: list[dict[str, Any]]) -> None:
    """Of several metrics of one step the last one counts; a database refuses two in one command."""
    metrics = {
        (event["kind"], event["step"]): Metric(
            training_run=run,
            kind=event["kind"],
            step=event["step"],
            values={name: value for name, value in event.items() if name not in _BESIDE},
            at=datetime.fromisoformat(event["at"]),
        )
        for event in events
        if event["kind"] in Metric.Kind.values
    }
    Metric.objects.bulk_create(
        metrics.values(),
        batch_size=1_000,
        update_conflicts=True,
        unique_fields=["training_run", "kind", "step"],
        update_fields=["values", "at"],
    )


def _note(run: TrainingRun, event: dict[str, Any]) -> None:
    """Keep in the run what is said of all of it."""
    match event["kind"]:
        case "begin":
            run.max_steps, run.step = event["max_steps"], event["step"]
            run.result.pop("error", None)
            run.result.update({name: event[name] for name in _FACTS if name in event})
        case "report":
            kept = {name: value for name, value in event.items() if name not in (*_BESIDE, "split")}
            run.result.setdefault("rows", {})[event["split"]] = kept
        case "train" | "validation":
            run.step = event["step"]
        case "end" if event["why"] == "done":
            run.result["mean_train_loss"] = event.get("train_loss")
        case "error":
            run.result["error"] = event["message"][:4_000]
