"""A run's course as lines for the plot component: seconds of work across, in the unit that fits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from distill.queries.run_plots import History, LanePart
from distill.templatetags.nexa import duration, thousands
from distill.templatetags.nexa_charts import Series, Span

MAX_LANES = 5
"""So many teachers at most have a line of their own; the plots have six colours."""

_UNITS = ((300, "second", 1), (3 * 3600, "minute", 60), (3 * 86_400, "hour", 3600))
_LONGEST_UNIT = ("day", 86_400)


@dataclass(frozen=True, slots=True)
class RunPlots:
    """What is drawn of a run. `noun` is the axis' unit; `spans` are open circuits and pauses."""

    noun: str
    at_once: list[Series]
    a_second: list[Series]
    spans: list[Span]


def draw_plots(history: History) -> RunPlots | None:
    """The plots of a run; None where nothing was measured."""
    if len(history.parts) < 2:
        return None
    noun, unit = _unit(history.parts[-1].at)
    on_the_way = [(part.at / unit, part.stretch.concurrency) for part in history.parts]
    lanes = sorted(history.lanes.items(), key=lambda lane: -_replies(lane[1]))[:MAX_LANES]
    return RunPlots(
        noun=noun,
        at_once=[
            ("On the way, on average", on_the_way),
            *(
                (f"Limit, {teacher}", [(part.at / unit, part.limit) for part in parts])
                for teacher, parts in lanes
            ),
        ],
        a_second=[
            ("Samples", [(part.at / unit, part.stretch.samples_per_s) for part in history.parts]),
            ("Replies", _replies_a_second(history, unit)),
            *(
                (f"429s, {teacher}", [(part.at / unit, part.rate_limited_per_s) for part in parts])
                for teacher, parts in lanes[: MAX_LANES - 1]
                if any(part.rate_limited_per_s for part in parts)
            ),
        ],
        spans=[*_open_spans(history, noun, unit), *_pauses(history, noun, unit)],
    )


def _unit(seconds: float) -> tuple[str, int]:
    return next(((noun, size) for most, noun, size in _UNITS if seconds <= most), _LONGEST_UNIT)


def _replies(parts: Sequence[LanePart]) -> float:
    return sum(part.replies_per_s for part in parts)


def _replies_a_second(history: History, unit: int) -> list[tuple[float, float]]:
    sums: dict[float, float] = {part.at: 0.0 for part in history.parts}
    for parts in history.lanes.values():
        for part in parts:
            sums[part.at] = sums.get(part.at, 0.0) + part.replies_per_s
    return [(at / unit, replies) for at, replies in sums.items()]


def _open_spans(history: History, noun: str, unit: int) -> Iterator[Span]:
    for span in history.open_spans:
        begin, end = span.begin / unit, span.end / unit
        yield (
            begin,
            end,
            f"The circuit of {span.teacher} was open from {noun} {thousands(begin)} "
            f"to {thousands(end)}: {duration(span.end - span.begin)}.",
        )


def _pauses(history: History, noun: str, unit: int) -> Iterator[Span]:
    for at, seconds in history.work.pauses:
        place = at / unit
        words = f"A pause of {duration(seconds)} at {noun} {thousands(place)}, left out here."
        yield place, place, words
