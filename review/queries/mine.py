"""What a reviewer's own page shows: today, pace, disagreements, effects, history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, Q, QuerySet

from distill.http import KeysetPage, keyset_page
from distill.models import Completion, CompletionState, Decision, Label
from review.queries.counts import my_decisions_since
from review.queries.history import KINDS
from review.queries.matching import VERDICTS
from review.queries.pace import median_ms

_LOOKED_AT = 1_000
_PAGE_SIZE = 30


@dataclass(frozen=True, slots=True)
class Effects:
    """What became of one's last thousand verdicts, in completions.

    `labelled` have a label, of which `agreed` the same outcome; `awaiting` wait for others;
    `regenerated` are those that one rejected and a later attempt replaced, of which `mended` passed
    the gate; `gate_agreed` of all: the gate had said the same.
    """

    total: int
    labelled: int
    agreed: int
    regenerated: int
    mended: int
    gate_agreed: int
    gate_known: int

    @property
    def awaiting(self) -> int:
        return self.total - self.labelled


@dataclass(frozen=True, slots=True)
class MyPage:
    """Everything on the page."""

    num_today: int
    median_seconds: float | None
    effects: Effects
    disagreements: Sequence[Decision]
    history: KeysetPage[Decision]


def read_mine(reviewer: User, *, midnight: datetime, query: str, after: int | None) -> MyPage:
    """Read the page of one person; `query` is looked for in titles, texts and notes."""
    median = median_ms(reviewer)
    return MyPage(
        num_today=my_decisions_since(since=midnight, reviewer=reviewer),
        median_seconds=median / 1000 if median is not None else None,
        effects=_effects(reviewer),
        disagreements=_disagreements(reviewer),
        history=keyset_page(_history(reviewer, query), after=after, size=_PAGE_SIZE),
    )


def _history(reviewer: User, query: str) -> QuerySet[Decision]:
    mine = Decision.objects.filter(reviewer=reviewer, kind__in=KINDS)
    if query:
        mine = mine.filter(
            Q(completion__sample__title__icontains=query)
            | Q(completion__text__icontains=query)
            | Q(note__icontains=query)
        )
    return mine.select_related("completion__sample", "undone_by")


def _standing(reviewer: User) -> QuerySet[Decision]:
    undone = Decision.objects.filter(undoes=OuterRef("pk"))
    return Decision.objects.filter(~Exists(undone), reviewer=reviewer, kind__in=VERDICTS)


def _disagreements(reviewer: User) -> list[Decision]:
    """One's last verdicts on completions where somebody else's stands against them."""
    mine = list(_standing(reviewer).order_by("-id").values_list("pk", flat=True)[:_LOOKED_AT])
    undone = Decision.objects.filter(undoes=OuterRef("pk"))
    others = Decision.objects.filter(
        ~Exists(undone), completion=OuterRef("completion"), kind__in=VERDICTS, is_legacy=False
    ).exclude(reviewer=reviewer)
    yes = ~Q(kind=Decision.Kind.REJECT)
    apart = Exists(others.filter(kind=Decision.Kind.REJECT)) & yes
    apart |= Exists(others.exclude(kind=Decision.Kind.REJECT)) & ~yes
    found = Decision.objects.filter(apart, pk__in=mine).order_by("-id")
    return list(found.select_related("completion__sample", "completion__label__decision")[:20])


def _effects(reviewer: User) -> Effects:
    said = dict(_standing(reviewer).order_by("-id").values_list("completion", "kind")[:_LOOKED_AT])
    yes = {pk for pk, kind in said.items() if kind != Decision.Kind.REJECT}
    labels = dict(Label.objects.filter(completion__in=said).values_list("completion", "outcome"))
    gate = dict(
        CompletionState.objects.filter(
            completion__in=said,
            state__in=(CompletionState.State.PASSED, CompletionState.State.REJECTED),
        ).values_list("completion", "state")
    )
    later = Completion.objects.filter(parent__in=said.keys() - yes).values_list(
        "parent", "state_row__state"
    )
    states = dict(later)
    return Effects(
        total=len(said),
        labelled=len(labels),
        agreed=sum(
            (pk in yes) == (outcome == Label.Outcome.ACCEPTED) for pk, outcome in labels.items()
        ),
        regenerated=len(states),
        mended=sum(state == CompletionState.State.PASSED for state in states.values()),
        gate_agreed=sum(
            (pk in yes) == (state == CompletionState.State.PASSED) for pk, state in gate.items()
        ),
        gate_known=len(gate),
    )
