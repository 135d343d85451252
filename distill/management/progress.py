"""How a command shows its progress: a moving bar on a terminal, a plain line now and then in a log.

    with progress(total, "Importing") as bar:      # total may be None: then no end is shown
        bar.advance(10)                            # ten more are done
        bar.update(500, kept=490, refused=10)      # 500 are done; words for the end of the line
        bar.log("chapter two")                     # a line of its own, above the bar

Everything goes to stderr: stdout is the command's result. When the block ends, also by an error,
one last line says how far it came.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

SECONDS_BETWEEN_LINES = 5.0


class Bar(Protocol):
    """What the block of `progress` is given."""

    def advance(self, num: int = 1) -> None:
        """So many more are done."""

    def update(self, done: int, **fields: object) -> None:
        """So many are done in all; fields (`kept=490`) are shown behind the count."""

    def log(self, message: str) -> None:
        """Write a line of its own."""


@contextmanager
def progress(
    total: int | None,
    label: str,
    *,
    stream: TextIO | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Bar]:
    """Show progress for as long as the block runs."""
    stream = stream or sys.stderr
    if stream.isatty():
        with _rich_progress(stream) as shown:
            yield _MovingBar(shown, total, label)
        return
    bar = _PlainLines(stream, total, label, clock)
    try:
        yield bar
    finally:
        bar.finish()


class _MovingBar:
    def __init__(self, shown: Progress, total: int | None, label: str) -> None:
        self._shown = shown
        self._task = shown.add_task(escape(label), total=total, words="")

    def advance(self, num: int = 1) -> None:
        self._shown.advance(self._task, num)

    def update(self, done: int, **fields: object) -> None:
        self._shown.update(self._task, completed=done, words=escape(_in_words(fields)))

    def log(self, message: str) -> None:
        self._shown.console.print(message, markup=False, highlight=False)


class _PlainLines:
    def __init__(
        self, stream: TextIO, total: int | None, label: str, clock: Callable[[], float]
    ) -> None:
        self._stream = stream
        self._total = total
        self._label = label
        self._clock = clock
        self._start = self._last = clock()
        self._done = 0
        self._fields: dict[str, object] = {}
        self._said = ""

    def advance(self, num: int = 1) -> None:
        self.update(self._done + num)

    def update(self, done: int, **fields: object) -> None:
        self._done = done
        self._fields |= fields
        if self._clock() - self._last >= SECONDS_BETWEEN_LINES:
            self._say()

    def log(self, message: str) -> None:
        self._write(message)

    def finish(self) -> None:
        self._say()

    def _say(self) -> None:
        self._last = self._clock()
        of_total = f" of {self._total:,}" if self._total is not None else ""
        words = _in_words(self._fields)
        line = f"{self._label}: {self._done:,}{of_total}{', ' if words else ''}{words}"
        if line == self._said:
            return
        self._said = line
        rate = self._done / max(self._last - self._start, 0.001)
        self._write(f"{line} ({rate:,.0f}/s)")

    def _write(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


def _rich_progress(stream: TextIO) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[words]}"),
        TimeRemainingColumn(),
        console=Console(file=stream),
    )


def _in_words(fields: dict[str, object]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_shown(value)}" for name, value in fields.items())


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
