"""What a command shows while it works."""

from __future__ import annotations

import io

import pytest

from distill.management.progress import progress


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def fail_after(num, stream):
    with progress(9, "Reading", stream=stream) as bar:
        bar.advance(num)
        raise ZeroDivisionError


def test_a_log_gets_a_line_every_few_seconds():
    stream, clock = io.StringIO(), Clock()
    with progress(1000, "Importing", stream=stream, clock=clock) as bar:
        for second in range(1, 11):
            clock.now = float(second)
            bar.update(second * 100, kept=second * 90)
    assert stream.getvalue().splitlines() == [
        "Importing: 500 of 1,000 (100/s), 450 kept",
        "Importing: 1,000 of 1,000 (100/s), 900 kept",
    ]


def test_what_was_done_before_is_no_speed_and_the_last_line_drops_what_is_over():
    stream, clock = io.StringIO(), Clock()
    with progress(None, "Collecting", done=20, stream=stream, clock=clock) as bar:
        clock.now = 5.0
        bar.update(20, total=50, in_flight=3, answered=20)
        clock.now = 10.0
        bar.update(40, total=50, in_flight=3, answered=40)
        bar.update(50, total=50, answered=50)
    assert stream.getvalue().splitlines() == [
        "Collecting: 20 of 50, 3 in flight, 20 answered",
        "Collecting: 40 of 50 (2/s), 3 in flight, 40 answered",
        "Collecting: 50 of 50 (3/s), 50 answered",
    ]


def test_without_a_total_only_the_count_is_shown():
    stream = io.StringIO()
    with progress(None, "Reading", stream=stream, clock=Clock()) as bar:
        bar.advance(3)
        bar.log("half way")
    assert stream.getvalue().splitlines()[0] == "half way"
    assert stream.getvalue().splitlines()[1].startswith("Reading: 3 (")


def test_an_error_still_says_how_far_it_came():
    stream = io.StringIO()
    with pytest.raises(ZeroDivisionError):
        fail_after(4, stream)
    assert "Reading: 4 of 9" in stream.getvalue()


def test_a_terminal_gets_a_bar_and_text_is_never_markup():
    stream = Terminal()
    with progress(10, "[red]Importing", stream=stream) as bar:
        bar.update(10, file="[bold]x.jsonl")
        bar.log("[link]said")
    assert "[red]Importing" in stream.getvalue()
    assert "10/10" in stream.getvalue()
    assert "[bold]x.jsonl" in stream.getvalue()
    assert "[link]said" in stream.getvalue()


def test_a_terminal_gets_an_end_as_soon_as_it_is_known():
    stream = Terminal()
    with progress(None, "Collecting", stream=stream) as bar:
        bar.update(5, total=50, in_flight=3)
    assert "5/50" in stream.getvalue()
    assert "3 in flight" in stream.getvalue()
