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
        "Importing: 500 of 1,000, kept 450 (100/s)",
        "Importing: 1,000 of 1,000, kept 900 (100/s)",
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
