"""What a stage command says of its run, on a terminal and in a log."""

from __future__ import annotations

import io

import pytest
from django.utils import timezone

from distill.logic.pulse import Pulse
from distill.logic.reading import LaneReading, Reading, bucket_of
from distill.management.progress import progress
from distill.management.run_details import run_details
from distill.models import Run, SampleDraw
from distill.queries.progress import live_progress
from tests.builders import make_reading, make_run, make_sample_draw, make_shift

pytestmark = pytest.mark.django_db


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _lines(run: Run) -> list[str]:
    return list(run_details(run, live_progress(run, now=timezone.now())))


@pytest.fixture
def running() -> Run:
    run = make_run(
        state=Run.State.RUNNING,
        is_populated=True,
        started_at=timezone.now(),
        budget_nano=25_000_000_000,
        spent_nano=3_410_000_000,
        reserved_nano=80_000_000,
    )
    for _number in range(10):
        make_sample_draw(run, state=SampleDraw.State.PENDING)
    lanes = {"offline:extractive": LaneReading(in_flight=40, limit=48.0)}
    shift = make_shift(run, pulse=Pulse(Reading(slots=64, in_flight=40, lanes=lanes)))
    make_reading(
        shift,
        timezone.now(),
        replies=30,
        finished=10,
        failures={"rate_limited": 10},
        latencies={bucket_of(500): 30},
        input_tokens=20_000,
        output_tokens=4_060,
    )
    return run


def test_the_lines_say_what_the_page_shows(running: Run) -> None:
    assert _lines(running) == [
        "40 of 64 slots, 75.0 % occupied; 2 samples/s, 6 replies/s; tokens/s: 4,000 in, 812 out",
        "offline:extractive: p50 514 ms, p95 514 ms, 429 25.0 %, other failures 0 %, limit 48",
        "spent $3.41 of $25.00, $0.0800 reserved; "
        "about 5 s left (from the last 5 s: 2 samples/s, 10 left)",
    ]


def test_an_open_circuit_is_named_and_no_time_is_promised(running: Run) -> None:
    shut = Reading(slots=64, lanes={"offline:extractive": LaneReading(state="open", limit=1)})
    make_shift(running, pulse=Pulse(shut))
    lines = _lines(running)
    assert lines[1].endswith("circuit open: waits")
    assert lines[2].endswith("time left: waiting: offline:extractive refuses; cannot tell")


def test_an_ended_run_says_what_it_cost() -> None:
    assert _lines(make_run(state=Run.State.DONE, spent_nano=0)) == ["spent $0.00"]


def test_a_log_has_it_all_on_one_line_and_no_escapes(running: Run) -> None:
    stream = io.StringIO()
    with progress(10, "Collecting", stream=stream) as bar:
        bar.update(0, details=_lines(running), answered=0)
    (line,) = stream.getvalue().splitlines()
    assert line.startswith("Collecting: 0 of 10, 0 answered; 40 of 64 slots")
    assert "\x1b" not in line


def test_a_terminal_has_it_below_the_bar_and_text_is_never_markup() -> None:
    stream = Terminal()
    with progress(10, "Collecting", stream=stream) as bar:
        bar.update(3, details=["[bold]a:b: p50 1 s", "spent $1"])
        bar.update(10)
    assert "3/10" in stream.getvalue() or "10/10" in stream.getvalue()
    assert "spent $1" not in stream.getvalue().splitlines()[-1]
