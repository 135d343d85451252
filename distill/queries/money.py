"""What a run's requests cost: by stage, by template, for each accepted sample.

All amounts are in 1e-9 US dollars. A purchase whose price or usage is not known is counted as
unpriced; its cost is in no sum.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from django.db import connection

from distill.models import Label, Purchase, Reply, Run, SampleDraw

LOST = "r.id IS NULL AND (p.expires_at <= %(now)s OR s.ended_at IS NOT NULL)"
"""A purchase that nobody will answer any more: its worker has ended, or its time is over. With the
purchase as `p`, its reply as `r`, its shift as `s`."""

_COUNT_PURCHASES = f"""
SELECT p.stage, p.template_name,
       count(r.id) FILTER (WHERE r.outcome <> %(unsent)s),
       count(r.id) FILTER (WHERE r.outcome <> %(unsent)s AND r.cost_nano IS NULL),
       coalesce(sum(r.cost_nano), 0),
       coalesce(sum(r.prompt_tokens), 0),
       coalesce(sum(r.cached_tokens), 0),
       coalesce(sum(r.completion_tokens), 0),
       count(*) FILTER (WHERE r.id IS NULL),
       coalesce(sum(p.bound_nano) FILTER (WHERE r.id IS NULL), 0),
       count(*) FILTER (WHERE {LOST}),
       coalesce(sum(p.bound_nano) FILTER (WHERE {LOST}), 0),
       count(*) FILTER (WHERE {LOST} AND p.bound_nano IS NULL)
  FROM distill_purchase p
  LEFT JOIN distill_reply r ON r.purchase_id = p.id
  LEFT JOIN distill_shift s ON s.id = p.shift_id
 WHERE p.run_id = %(run)s
 GROUP BY p.stage, p.template_name
"""  # noqa: S608 - LOST is a constant of this module


_STAGES = {stage.value: str(stage.label) for stage in Purchase.Stage}


@dataclass(frozen=True, slots=True)
class Share:
    """What one stage or template cost: purchases that were answered or settled, and their tokens.

    `cached_tokens` are among the prompt's. `unpriced` purchases are in no sum of money.
    """

    label: str
    purchases: int = 0
    unpriced: int = 0
    spent_nano: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0

    @property
    def is_unpriced(self) -> bool:
        """Whether nothing is known of what it cost."""
        return 0 < self.purchases == self.unpriced

    def __add__(self, other: Share) -> Share:
        return Share(
            self.label,
            self.purchases + other.purchases,
            self.unpriced + other.unpriced,
            self.spent_nano + other.spent_nano,
            self.prompt_tokens + other.prompt_tokens,
            self.cached_tokens + other.cached_tokens,
            self.completion_tokens + other.completion_tokens,
        )


@dataclass(frozen=True, slots=True)
class Lost:
    """Sent without a reply, by a worker that has ended: nobody knows whether it was billed.

    `nano` is at most what it cost; `unpriced` of the purchases have no such bound.
    """

    purchases: int = 0
    nano: int = 0
    unpriced: int = 0


@dataclass(frozen=True, slots=True)
class Money:
    """A run's money. `spent` + `granted` + `lost` is what its budget is held against.

    `granted_nano` is reserved for `in_flight` purchases that are still to be answered. `accepted`
    counts samples × draws that people accepted, or, where they accepted none, those that passed
    the gate: `accepted_basis` says which. `known` calls were answered by what other runs had
    bought, for `saved_nano`.
    """

    budget_nano: int | None
    spent_nano: int
    in_flight: int
    granted_nano: int
    lost: Lost
    stages: tuple[Share, ...]
    templates: tuple[Share, ...]
    total: Share
    accepted: int
    accepted_basis: str
    known: int
    saved_nano: int

    @property
    def unpriced(self) -> int:
        """How many purchases are in no sum because their price or usage is not known."""
        return self.total.unpriced + self.lost.unpriced

    @property
    def left_nano(self) -> int | None:
        """What may still be reserved; None without a budget."""
        if self.budget_nano is None:
            return None
        return max(0, self.budget_nano - self.spent_nano - self.granted_nano - self.lost.nano)

    @property
    def per_accepted_nano(self) -> int | None:
        """What an accepted sample cost, with what was possibly billed at its upper bound.

        None where nothing was accepted, or where some of the cost is not known.
        """
        if not self.accepted or self.unpriced:
            return None
        return round((self.spent_nano + self.lost.nano) / self.accepted)


def run_money(run: Run, *, now: dt.datetime) -> Money:
    """Count a run's money: one grouped query over its purchases, two counts of sample draws."""
    found = _count(run, now)
    lost = Lost(
        purchases=sum(one.lost.purchases for one in found),
        nano=sum(one.lost.nano for one in found),
        unpriced=sum(one.lost.unpriced for one in found),
    )
    accepted, basis = _accepted(run)
    return Money(
        budget_nano=run.budget_nano,
        spent_nano=run.spent_nano,
        in_flight=sum(one.waiting for one in found) - lost.purchases,
        granted_nano=sum(one.waiting_nano for one in found) - lost.nano,
        lost=lost,
        stages=_by_label(
            [(_STAGES.get(one.stage, ""), one.share) for one in found], [*_STAGES.values(), ""]
        ),
        templates=_by_label([(one.template_name, one.share) for one in found]),
        total=sum((one.share for one in found), Share("")),
        accepted=accepted,
        accepted_basis=basis,
        known=run.known_count,
        saved_nano=run.saved_nano,
    )


@dataclass(frozen=True, slots=True)
class _Counted:
    """A line of the query: answered purchases of one stage and template, and those without reply."""

    stage: str
    template_name: str
    share: Share
    waiting: int
    waiting_nano: int
    lost: Lost


def _count(run: Run, now: dt.datetime) -> list[_Counted]:
    with connection.cursor() as cursor:
        cursor.execute(_COUNT_PURCHASES, {"run": run.pk, "now": now, "unsent": Reply.UNSENT})
        rows = cursor.fetchall()
    return [
        _Counted(
            stage,
            template_name,
            Share("", *(int(sum_) for sum_ in sums[:6])),
            int(sums[6]),
            int(sums[7]),
            Lost(*(int(sum_) for sum_ in sums[8:])),
        )
        for stage, template_name, *sums in rows
    ]


def _by_label(
    shares: Iterable[tuple[str, Share]], order: Sequence[str] | None = None
) -> tuple[Share, ...]:
    """Add up what has the same label; what was never recorded stands last."""

    def place(label: str) -> tuple[int, str]:
        return (order.index(label) if order else not label, label)

    in_order = sorted(shares, key=lambda pair: place(pair[0]))
    return tuple(
        sum((share for _, share in group), Share(label or "not recorded"))
        for label, group in groupby(in_order, key=lambda pair: pair[0])
    )


def _accepted(run: Run) -> tuple[int, str]:
    draws = SampleDraw.objects.filter(run=run)
    accepted = draws.filter(completion__label__outcome=Label.Outcome.ACCEPTED).count()
    if accepted:
        return accepted, "accepted by people"
    return draws.filter(state=SampleDraw.State.PASSED).count(), "passed the gate"
