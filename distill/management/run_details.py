"""A run's figures as the lines of a terminal: the same as on its page."""

from __future__ import annotations

from collections.abc import Iterator

from distill.models import Run
from distill.queries.progress import Progress
from distill.queries.telemetry import Lane
from distill.templatetags.nexa import duration, latency, money, percent, thousands


def run_details(run: Run, progress: Progress) -> Iterator[str]:
    """What goes on, each teacher, what the run waits for, money and the time left."""
    live, recent = progress.live, progress.live.recent
    if live.workers:
        now = live.now.reading
        yield (
            f"{now.in_flight:,} of {now.slots:,} slots, {percent(recent.occupancy)} occupied; "
            f"{thousands(recent.samples_per_s)} samples/s, "
            f"{thousands(recent.replies_per_s)} replies/s; tokens/s: "
            f"{thousands(recent.input_tokens_per_s)} in, {thousands(recent.output_tokens_per_s)} out"
        )
    for lane in live.lanes:
        yield _lane(lane)
    yield f"{_spent(run)}{_left(progress)}"


def _lane(lane: Lane) -> str:
    figures = lane.recent
    circuit = "" if lane.state == "closed" else f", circuit {lane.state.replace('_', ' ')}: waits"
    return (
        f"{lane.teacher}: p50 {latency(figures.p50_ms)}, p95 {latency(figures.p95_ms)}, "
        f"429 {percent(figures.rate_limited)}, other failures {percent(figures.failed)}, "
        f"limit {lane.limit:,.0f}{circuit}"
    )


def _spent(run: Run) -> str:
    words = f"spent {money(run.spent_nano)}"
    if run.budget_nano is not None:
        words += f" of {money(run.budget_nano)}"
    return words + (f", {money(run.reserved_nano)} reserved" if run.reserved_nano else "")


def _left(progress: Progress) -> str:
    if not progress.left.basis:
        return ""
    if progress.left.seconds is None:
        return f"; time left: {progress.left.basis}"
    return f"; about {duration(progress.left.seconds)} left ({progress.left.basis})"
