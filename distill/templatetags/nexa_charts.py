"""The geometry of the charts in templates/components: numbers in, sizes as SVG attributes out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from django import template

register = template.Library()

Bar = tuple[str, int | float, str | None]
"""Label, value, and where the number leads (or None)."""

Bin = tuple[float, float, int]
"""Lower edge, upper edge, count."""

Interval = tuple[str, float | None, float | None, float | None, str, str | None]
"""Label, value, lower and upper end (or None), the same in words, where it leads (or None)."""

Segment = tuple[str, int, str, str | None]
"""Label, count, tone (see `nexa.tone`), and where the number leads (or None)."""

Step = tuple[str, int, str | None, Sequence[tuple[str, int, str | None]]]
"""Label, count, link, and what was lost on the way here: labels, counts and links."""

Series = tuple[str, Sequence[tuple[float, float]]]
"""Label, and points (x, y) from left to right."""

Span = tuple[float, float, str]
"""From where to where on the axis of a line plot, and what was the case there; equal: a moment."""


@dataclass(frozen=True, slots=True)
class BarRow:
    label: str
    value: int | float
    href: str | None
    width: str
    share: float


@register.filter
def bar_rows(bars: Sequence[Bar]) -> list[BarRow]:
    """The longest bar is full; shares are of the sum."""
    longest = max((value for _, value, _ in bars), default=0)
    total = sum(value for _, value, _ in bars)
    return [
        BarRow(label, value, href, _percent(value, longest), value / total if total else 0)
        for label, value, href in bars
    ]


@dataclass(frozen=True, slots=True)
class HistogramBar:
    x: str
    width: str
    y: str
    height: str
    low: float
    high: float
    count: int
    is_open: bool
    """It collects all from `low` on: the last one, where it is wider than the others."""


@register.filter
def histogram_bars(bins: Sequence[Bin]) -> list[HistogramBar]:
    """Equal places from left to right; the fullest bin reaches the top."""
    most = max((count for _, _, count in bins), default=0)
    step = 100 / len(bins) if bins else 0
    gap = min(0.4, step / 8)
    return [
        HistogramBar(
            x=f"{index * step + gap / 2:.3f}%",
            width=f"{step - gap:.3f}%",
            y=_percent(most - count, most),
            height=_percent(count, most),
            low=low,
            high=high,
            count=count,
            is_open=index == len(bins) - 1 and high - low > bins[0][1] - bins[0][0],
        )
        for index, (low, high, count) in enumerate(bins)
    ]


@dataclass(frozen=True, slots=True)
class SegmentPart:
    label: str
    count: int
    tone: str
    href: str | None
    x: str
    width: str
    share: float


@register.filter
def segment_parts(segments: Sequence[Segment]) -> list[SegmentPart]:
    """One bar cut into parts that together are everything."""
    total = sum(count for _, count, _, _ in segments)
    parts, before = [], 0
    for label, count, tone, href in segments:
        x, width = _percent(before, total), _percent(count, total)
        parts.append(SegmentPart(label, count, tone, href, x, width, count / total if total else 0))
        before += count
    return parts


@dataclass(frozen=True, slots=True)
class IntervalRow:
    label: str
    words: str
    href: str | None
    at: str | None
    low: str | None
    high: str | None


@register.filter
def interval_rows(rows: Sequence[Interval], axis: str) -> list[IntervalRow]:
    """Points with their intervals: on the axis "share" from 0 to 1, on "difference" from −1 to 1."""
    start, width = (-1, 2) if axis == "difference" else (0, 1)

    def place(value: float | None) -> str | None:
        return None if value is None else _percent(value - start, width)

    return [
        IntervalRow(label, words, href, place(value), place(low), place(high))
        for label, value, low, high, words, href in rows
    ]


@dataclass(frozen=True, slots=True)
class WaterfallLoss:
    label: str
    count: int
    href: str | None


@dataclass(frozen=True, slots=True)
class WaterfallStep:
    label: str
    count: int
    href: str | None
    width: str
    lost_width: str
    share: float
    lost: int
    losses: list[WaterfallLoss]


@register.filter
def waterfall_steps(steps: Sequence[Step]) -> list[WaterfallStep]:
    """Every step against the first; what was lost stands beside what is left."""
    first = steps[0][1] if steps else 0
    before = first
    drawn = []
    for label, count, href, losses in steps:
        drawn.append(
            WaterfallStep(
                label=label,
                count=count,
                href=href,
                width=_percent(count, first),
                lost_width=_percent(max(before - count, 0), first),
                share=count / first if first else 0,
                lost=max(before - count, 0),
                losses=[WaterfallLoss(*loss) for loss in losses],
            )
        )
        before = count
    return drawn


@dataclass(frozen=True, slots=True)
class Tick:
    label: str
    place: str


@dataclass(frozen=True, slots=True)
class LineDot:
    x: str
    y: str
    at: float
    value: float


@dataclass(frozen=True, slots=True)
class LineBand:
    """The room around a point, for a pointer to rest in."""

    x: str
    width: str
    at: float
    value: float


@dataclass(frozen=True, slots=True)
class Line:
    label: str
    number: int
    """From 1; its colour and dashes follow from it."""
    points: str
    """In a view box of 1000 × 1000."""
    dots: list[LineDot]
    bands: list[LineBand]
    last: float
    lowest: tuple[float, float]
    """Where (x), and the value."""
    highest: tuple[float, float]


@dataclass(frozen=True, slots=True)
class LinePlot:
    lines: list[Line]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    numbers: list[tuple[float, list[float | None]]]
    """For each x the values of the lines, None where one has no point."""


@dataclass(frozen=True, slots=True)
class _Scale:
    low: float
    high: float

    def share(self, value: float) -> float:
        return (value - self.low) / (self.high - self.low)


@register.filter
def line_plot(series: Sequence[Series]) -> LinePlot | None:
    """Lines over one pair of axes; series without a point are left out. None: nothing to draw."""
    drawn = [(label, list(points)) for label, points in series if points]
    if not drawn:
        return None
    places = [x for _, points in drawn for x, _ in points]
    values = [y for _, points in drawn for _, y in points]
    across = _Scale(min(0, *places), max(1, *places))
    x_steps, y_steps = _round_steps(across.low, across.high), _round_steps(min(values), max(values))
    up = _Scale(y_steps[0], y_steps[-1])
    return LinePlot(
        lines=[_line(*one, number, across, up) for number, one in enumerate(drawn, 1)],
        x_ticks=[
            Tick(label, _percent(across.share(x), 1))
            for label, x in zip(_tick_labels(x_steps), x_steps, strict=True)
            if across.low <= x <= across.high
        ],
        y_ticks=[
            Tick(label, _percent(1 - up.share(y), 1))
            for label, y in zip(_tick_labels(y_steps), y_steps, strict=True)
        ],
        numbers=_numbers([points for _, points in drawn]),
    )


@dataclass(frozen=True, slots=True)
class PlotSpan:
    x: str
    width: str
    words: str
    is_moment: bool


@register.filter
def plot_spans(spans: Sequence[Span], series: Sequence[Series]) -> list[PlotSpan]:
    """Where the spans lie behind the lines of `series`; what is outside of them is cut off."""
    places = [x for _, points in series for x, _ in points]
    if not places:
        return []
    across = _Scale(min(0, *places), max(1, *places))
    drawn = []
    for begin, end, words in spans:
        first, last = (min(1.0, max(0.0, across.share(x))) for x in (begin, end))
        drawn.append(PlotSpan(_percent(first, 1), _percent(last - first, 1), words, begin == end))
    return drawn


def _line(
    label: str, points: list[tuple[float, float]], number: int, across: _Scale, up: _Scale
) -> Line:
    shares = [(across.share(x), 1 - up.share(y)) for x, y in points]
    edges = [0.0, *((a[0] + b[0]) / 2 for a, b in itertools.pairwise(shares)), 1.0]
    return Line(
        label=label,
        number=number,
        points=" ".join(f"{1000 * x:.1f},{1000 * y:.1f}" for x, y in shares),
        dots=[
            LineDot(_percent(place[0], 1), _percent(place[1], 1), x, y)
            for place, (x, y) in zip(shares, points, strict=True)
        ],
        bands=[
            LineBand(_percent(edges[index], 1), _percent(edges[index + 1] - edges[index], 1), x, y)
            for index, (x, y) in enumerate(points)
        ],
        last=points[-1][1],
        lowest=min(points, key=lambda point: point[1]),
        highest=max(points, key=lambda point: point[1]),
    )


def _round_steps(low: float, high: float) -> list[float]:
    """Multiples of 1, 2 or 5 × 10ⁿ, from at or below `low` to at or above `high`; two to seven."""
    if low == high == 0:
        high = 1.0
    elif low == high:
        low, high = low - (abs(low) / 2 or 1), high + (abs(high) / 2 or 1)
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * size for size in (1, 2, 5, 10, 20) if power * size >= rough)
    # What is a multiple but for its last bit is one.
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]


def _tick_labels(steps: list[float]) -> list[str]:
    """As many figures as tell a step from its neighbours."""
    decimals = max(0, -math.floor(math.log10(steps[1] - steps[0]) + 1e-9))
    if decimals > 4 or abs(steps[-1]) >= 1e7:
        return [f"{step:.3g}" for step in steps]
    return [f"{step:,.{decimals}f}" for step in steps]


def _numbers(
    lines: list[list[tuple[float, float]]],
) -> list[tuple[float, list[float | None]]]:
    by_line = [dict(points) for points in lines]
    places = sorted({x for points in by_line for x in points})
    return [(x, [points.get(x) for points in by_line]) for x in places]


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.2f}%" if whole else "0%"
