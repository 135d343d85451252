"""The geometry of the charts in templates/components: numbers in, sizes as SVG attributes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django import template

register = template.Library()

Bar = tuple[str, int | float, str | None]
"""Label, value, and where the number leads (or None)."""

Bin = tuple[float, float, int]
"""Lower edge, upper edge, count."""

Segment = tuple[str, int, str, str | None]
"""Label, count, tone (see `nexa.tone`), and where the number leads (or None)."""

Step = tuple[str, int, str | None, Sequence[tuple[str, int, str | None]]]
"""Label, count, link, and what was lost on the way here: labels, counts and links."""


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


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.2f}%" if whole else "0%"
