"""How a command shows its progress: a moving bar on a terminal, a plain line now and then in a log.

    with progress(total, "Importing") as bar:      # total may be None: then no end is shown
        bar.advance(10)                            # ten more are done
        bar.update(500, kept=490, refused=10)      # 500 are done; "490 kept, 10 refused" behind it
        bar.update(500, total=1000)                # the end is known now
        bar.update(500, details=["2 of 8 slots"])  # lines below the bar; in a log behind it
        bar.log("chapter two")                     # a line of its own, above the bar

Everything goes to stderr: stdout is the command's result. When the block ends, also by an error,
one last line says how far it came.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

SECONDS_BETWEEN_LINES = 5.0


class Bar(Protocol):
    """What the block of `progress` is given."""

    def advance(self, num: int = 1) -> None:
        """So many more are done."""

    def update(
        self, done: int, *, total: int | None = None, details: Iterable[str] = (), **fields: object
    ) -> None:
        """So many are done in all; fields (`kept=490`) replace those shown behind the count."""

    def log(self, message: str) -> None:
        """Write a line of its own."""


@contextmanager
def progress(
    total: int | None,
    label: str,
    *,
    done: int = 0,
    stream: TextIO | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Bar]:
    """Show progress for as long as the block runs; `done` were done before it began."""
    stream = stream or sys.stderr
    if stream.isatty():
        with _rich_progress(stream) as shown:
            yield _MovingBar(shown, total, label, done)
        return
    bar = _PlainLines(stream, total, label, done, clock)
    try:
        yield bar
    finally:
        bar.finish()


class _MovingBar:
    def __init__(self, shown: _BarAboveLines, total: int | None, label: str, done: int) -> None:
        self._shown = shown
        self._task = shown.add_task(escape(label), total=total, completed=done, words="")

    def advance(self, num: int = 1) -> None:
        self._shown.advance(self._task, num)

    def update(
        self, done: int, *, total: int | None = None, details: Iterable[str] = (), **fields: object
    ) -> None:
        words = escape(_in_words(fields))
        self._shown.lines = tuple(details)
        self._shown.update(self._task, completed=done, total=total, words=words)

    def log(self, message: str) -> None:
        self._shown.console.print(message, markup=False, highlight=False)


class _PlainLines:
    def __init__(
        self,
        stream: TextIO,
        total: int | None,
        label: str,
        done: int,
        clock: Callable[[], float],
    ) -> None:
        self._stream = stream
        self._total = total
        self._label = label
        self._clock = clock
        self._start = self._last = clock()
        self._done = self._done_before = done
        self._fields: dict[str, object] = {}
        self._details: tuple[str, ...] = ()
        self._said: object = None

    def advance(self, num: int = 1) -> None:
        self._done += num
        self._say_now_and_then()

    def update(
        self, done: int, *, total: int | None = None, details: Iterable[str] = (), **fields: object
    ) -> None:
        self._done = done
        self._total = total or self._total
        self._fields = fields
        self._details = tuple(details)
        self._say_now_and_then()

    def log(self, message: str) -> None:
        self._write(message)

    def finish(self) -> None:
        self._say()

    def _say_now_and_then(self) -> None:
        if self._clock() - self._last >= SECONDS_BETWEEN_LINES:
            self._say()

    def _say(self) -> None:
        self._last = self._clock()
        now = (self._done, self._total, self._fields, self._details)
        if now == self._said:
            return
        self._said = now
        of_total = f" of {self._total:,}" if self._total is not None else ""
        words = _in_words(self._fields)
        count = f"{self._label}: {self._done:,}{of_total}{self._rate()}"
        line = f"{count}, {words}" if words else count
        self._write("; ".join((line, *self._details)))

    def _rate(self) -> str:
        """How fast it goes here; nothing where all was done before."""
        num_done = self._done - self._done_before
        seconds = max(self._last - self._start, 0.001)
        return f" ({num_done / seconds:,.0f}/s)" if num_done > 0 else ""

    def _write(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


class _BarAboveLines(Progress):
    """A bar, and below it lines that change with it."""

    lines: tuple[str, ...] = ()

    def get_renderables(self) -> Iterator[RenderableType]:
        yield from super().get_renderables()
        for line in self.lines:
            yield Padding(Text(line, style="dim"), (0, 0, 0, 2))


def _rich_progress(stream: TextIO) -> _BarAboveLines:
    return _BarAboveLines(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[words]}"),
        TimeRemainingColumn(),
        console=Console(file=stream),
    )


def _in_words(fields: dict[str, object]) -> str:
    return ", ".join(_shown(name.replace("_", " "), value) for name, value in fields.items())


def _shown(name: str, value: object) -> str:
    return f"{value:,} {name}" if isinstance(value, int) else f"{name} {value}"
