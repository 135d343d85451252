"""What a dataset's gate does, and would do: everything that its page shows, from the snapshot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import polars as pl
from django.db.models import Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce, Left
from django.urls import reverse
from scipy.stats import binomtest

from distill.logic.gate_waterfall import Alert, GateStep, gate_steps, rows_of, yield_alert
from distill.logic.prices import usd
from distill.logic.reasons import Reason
from distill.logic.what_if import (
    GROUPS,
    LOOKED_AT,
    Change,
    GroupYield,
    Outcome,
    Settings,
    changes,
    decide_all,
    outcome_of,
    scan,
    yields,
)
from distill.models import Completion, Dataset
from distill.queries.snapshot import Snapshot

PAGE_SIZE = 50
_EXCERPT = 240
_SCAN = [number / 40 for number in range(41)]
_MOST_GROUPS = 25

Link = Callable[[str], str]
WaterfallStep = tuple[str, int, str, list[tuple[str, int, str]]]


@dataclass(frozen=True, slots=True)
class ReasonRow:
    """How many completions a reason or flag has now and under the settings asked for."""

    reason: Reason
    now: int
    then: int
    href: str


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """A completion that would change sides, with the beginning of its text."""

    change: Change
    excerpt: str


@dataclass(frozen=True, slots=True)
class GatePage:
    """The waterfall under the settings asked for, and what they change against the base's."""

    now: Outcome
    then: Outcome
    steps: tuple[GateStep, ...]
    waterfall: list[WaterfallStep]
    alert: Alert | None
    reasons: list[ReasonRow]
    changes: list[ChangeRow]
    groups: list[tuple[GroupYield, dict[str, str]]]
    plot: list[tuple[str, list[tuple[float, float]]]]

    @property
    def is_changed(self) -> bool:
        return self.now != self.then

    @property
    def accepted_hint(self) -> str:
        return _against(self.then.accepted, self.now.accepted)

    @property
    def passed_hint(self) -> str:
        return _against(self.then.passed, self.now.passed)

    @property
    def cost(self) -> str:
        """In US dollars; a dash where it is not known."""
        cost = self.then.cost_per_accepted_nano
        return "—" if cost is None else usd(round(cost))

    @property
    def cost_hint(self) -> str:
        if self.then.unpriced:
            return f"{self.then.unpriced:,} completions are unpriced"
        return "teacher and judges, of all attempts"

    @property
    def interval(self) -> tuple[float, float] | None:
        """Wilson's 95 % interval of the share in which gate and people agree."""
        agreement = self.then.agreement
        if not agreement.total:
            return None
        found = binomtest(agreement.agreed, agreement.total).proportion_ci(method="wilson")
        return found.low, found.high


def _against(then: int, now: int) -> str:
    return "as now" if then == now else f"{then - now:+,} against now"


def read_gate(
    snapshot: Snapshot,
    dataset: Dataset,
    *,
    base: Settings,
    asked: Settings,
    query: Mapping[str, str],
    group: str,
    num_asked: int,
) -> GatePage:
    """Evaluate the snapshot's open completions twice; `query` is what links must carry on.

    `num_asked`: for how many samples × draws a reply was wanted, of the whole dataset.
    """
    paid = _of_groups(snapshot.frame, query)
    frame = narrowed(snapshot.frame, query)
    before = decide_all(frame, base)
    after = before if asked == base else decide_all(frame, asked)
    now, then = outcome_of(before, paid=paid), outcome_of(after, paid=paid)
    steps = gate_steps(after)
    # By attempt also those that a later one has replaced: without them it says nothing of either.
    grouped = decide_all(paid, asked) if group == "attempt" else after

    def link(show: str) -> str:
        return _list_url(dataset, query, show=show)

    return GatePage(
        now=now,
        then=then,
        steps=steps,
        waterfall=[
            *_asked_step(dataset, query, num_asked),
            *(_waterfall_step(step, link) for step in steps),
            ("In the newest export", then.exported, link("exported"), []),
        ],
        alert=yield_alert(steps),
        reasons=_reasons(now, then, link),
        changes=_with_texts(changes(before, after, asked)),
        groups=[
            (one, _group_links(dataset, {**query, group: one.name}))
            for one in yields(grouped, group)[:_MOST_GROUPS]
        ],
        plot=_plot(after, then.total),
    )


def narrowed(frame: pl.DataFrame, query: Mapping[str, str]) -> pl.DataFrame:
    """The open completions, of one template, domain, … where the query names one.

    Of one attempt all, also those that a later attempt has replaced.
    """
    frame = _of_groups(frame, query)
    return frame if "attempt" in query else frame.filter("is_open")


def _of_groups(frame: pl.DataFrame, query: Mapping[str, str]) -> pl.DataFrame:
    for name in GROUPS:
        if name in query:
            value = query[name]
            frame = frame.filter(pl.col(name).cast(pl.String).fill_null("") == value)
    return frame


def _list_url(dataset: Dataset, query: Mapping[str, str], **further: str) -> str:
    address = reverse("distill:gate_completions", args=[dataset.pk])
    return f"{address}?{urlencode({**query, **further})}"


def _group_links(dataset: Dataset, query: Mapping[str, str]) -> dict[str, str]:
    page = reverse("distill:gate", args=[dataset.pk])
    shows = {"total": "all", "passed": "passed", "accepted": "accepted"}
    return {"page": f"{page}?{urlencode(query)}"} | {
        name: _list_url(dataset, query, show=show) for name, show in shows.items()
    }


def _asked_step(dataset: Dataset, query: Mapping[str, str], num_asked: int) -> list[WaterfallStep]:
    """Where the waterfall begins: what was asked for. Of a part of the dataset it is not counted."""
    if set(query) & set(GROUPS):
        return []
    page = reverse("distill:dataset", args=[dataset.pk])
    return [("Samples × draws", num_asked, f"{page}#samples", [])]


def _waterfall_step(step: GateStep, link: Link) -> WaterfallStep:
    losses = []
    if step.lost:
        words = "taken here first" if step.lost_show.startswith("first:") else _LOST[step.show]
        losses.append((words, step.lost, link(step.lost_show)))
    if step.hits > step.lost:
        code = step.show.partition(":")[2]
        losses.append(("hit by it, with those taken before", step.hits, link(f"has:{code}")))
    return step.label, step.count, link(step.show), losses


_LOST = {"judged": "no judge has scored", "reviewed": "not decided yet, or rejected by people"}


def _reasons(now: Outcome, then: Outcome, link: Link) -> list[ReasonRow]:
    before, after = dict(now.reasons + now.flags), dict(then.reasons + then.flags)
    return [
        ReasonRow(code, before.get(code, 0), after.get(code, 0), link(f"has:{code.value}"))
        for code in LOOKED_AT
        if code in before or code in after
    ]


def _with_texts(found: tuple[Change, ...]) -> list[ChangeRow]:
    texts = _excerpts([one.completion_id for one in found])
    return [ChangeRow(one, texts[one.completion_id]) for one in found if one.completion_id in texts]


def _excerpts(ids: list[int]) -> dict[int, str]:
    # The claim says more than the reply's first brace.
    said = Coalesce(KeyTextTransform("hypothesis", "fields"), "text")
    beginnings = Completion.objects.filter(pk__in=ids).annotate(
        beginning=Left(said, Value(_EXCERPT))
    )
    return dict(beginnings.values_list("pk", "beginning"))


def _plot(decided: pl.DataFrame, total: int) -> list[tuple[str, list[tuple[float, float]]]]:
    points = scan(decided, _SCAN)
    if not total or not any(point.passed for point in points):
        return []
    lines = [("Share that passes", [(p.min_mean, round(p.passed / total, 3)) for p in points])]
    precise = [(p.min_mean, round(p.precision, 3)) for p in points if p.precision is not None]
    if precise:
        lines.append(("People accepted, of what passes and they decided", precise))
    return lines


@dataclass(frozen=True, slots=True)
class BehindPage:
    """The completions behind a number, by id; `next` is where the following page begins."""

    total: int
    rows: list[tuple[int, str, float | None]]
    next: int | None


def behind(
    snapshot: Snapshot, asked: Settings, *, show: str, query: Mapping[str, str], after: int | None
) -> BehindPage:
    """The completions that a number of the page counted. KeyError or ValueError for an unknown one."""
    found = rows_of(decide_all(narrowed(snapshot.frame, query), asked), show)
    page = found.sort("completion_id")
    if after is not None:
        page = page.filter(pl.col("completion_id") > after)
    ids = page["completion_id"].head(PAGE_SIZE + 1).to_list()
    means = dict(page.select("completion_id", "mean_score").head(PAGE_SIZE).iter_rows())
    texts = _excerpts(ids[:PAGE_SIZE])
    rows = [(pk, texts[pk], means[pk]) for pk in ids[:PAGE_SIZE] if pk in texts]
    return BehindPage(len(found), rows, ids[PAGE_SIZE - 1] if len(ids) > PAGE_SIZE else None)


_WORDS = {
    "all": "All that were answered and stand for their sample × draw.",
    "judged": "Passed the rules, and a judge has scored them.",
    "unjudged": "Pass the rules, and no judge has scored them.",
    "passed": "Pass the gate.",
    "accepted": "What an export by the gate would take.",
    "reviewed": "Pass the gate, and people accepted them.",
    "not_reviewed": "Pass the gate, and nobody has decided them, or people rejected them.",
    "kept_out": "Pass the gate, and carry a flag that nobody has lifted, or were rejected by people.",
    "exported": "Stand in the dataset's newest export.",
    "must_review": "Pass the gate, carry a flag, and wait for a person.",
}


def words_for(show: str) -> str:
    """What the completions of a number have in common, in words."""
    kind, _colon, code = show.partition(":")
    if not code:
        return _WORDS[kind]
    label = Reason(code).label
    return {
        "has": f"Hit by “{label}”, whatever else stands against them.",
        "first": f"Lost at “{label}”: nothing before it stands against them.",
        "after": f"Left after “{label}”.",
    }[kind]
