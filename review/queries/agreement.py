"""How far a queue's reviewers agree, with each other and with the judges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef

from distill.models import Decision
from distill.queries.snapshot import base_content
from review.logic.agreement import (
    FEWEST,
    Agreement,
    PairAgreement,
    Verdict,
    cohens_kappa,
    measure,
    measure_pairs,
)
from review.models import Queue
from review.queries.matching import VERDICTS

MOST_READ = 20_000
"""So many of the newest verdicts are measured: a page must not grow with years."""


@dataclass(frozen=True, slots=True)
class NamedPair:
    """Two people by their names, and how far they agree."""

    names: tuple[str, str]
    found: PairAgreement


@dataclass(frozen=True, slots=True)
class BesideJudge:
    """People beside the judges' mean against the gate's threshold, in verdicts made without seeing it."""

    both_yes: int
    only_people: int
    only_judge: int
    both_no: int

    @property
    def total(self) -> int:
        return self.both_yes + self.only_people + self.only_judge + self.both_no

    @property
    def agreed(self) -> int:
        return self.both_yes + self.both_no

    @property
    def kappa(self) -> float | None:
        return cohens_kappa(self.both_yes, self.only_people, self.only_judge, self.both_no)


@dataclass(frozen=True, slots=True)
class QueueAgreement:
    """Everything that the panel shows; `people` is None where no two judged the same completion."""

    people: Agreement | None
    pairs: Sequence[NamedPair]
    judge: BesideJudge | None

    @property
    def says_little(self) -> bool:
        """Too few shared completions for a coefficient to mean much."""
        return self.people is not None and self.people.num_completions < FEWEST


def queue_agreement(queue: Queue) -> QueueAgreement:
    """Measure the newest verdicts that stand; legacy ones and adjudications are nobody's opinion here."""
    rows = _verdicts(queue)
    verdicts = [Verdict(pk, rater, kind != Decision.Kind.REJECT) for pk, rater, kind, *_ in rows]
    # The same verdicts give the same intervals.
    people = measure(verdicts, chance=np.random.default_rng(queue.pk))
    return QueueAgreement(people, _named(measure_pairs(verdicts)), _beside_judge(queue, rows))


_Row = tuple[int, int, str, bool, float | None]


def _verdicts(queue: Queue) -> list[_Row]:
    undone = Decision.objects.filter(undoes=OuterRef("pk"))
    found = Decision.objects.filter(
        ~Exists(undone),
        slot__queue=queue,
        kind__in=VERDICTS,
        is_legacy=False,
        is_adjudication=False,
    )
    columns = ("completion", "reviewer", "kind", "judge_seen", "completion__state_row__mean_score")
    return list(found.order_by("-id").values_list(*columns)[:MOST_READ])


def _named(pairs: Sequence[PairAgreement]) -> list[NamedPair]:
    raters = {rater for pair in pairs for rater in pair.raters}
    names = dict(User.objects.filter(pk__in=raters).values_list("pk", "username"))
    return [NamedPair((names[one.raters[0]], names[one.raters[1]]), one) for one in pairs]


def _beside_judge(queue: Queue, rows: Sequence[_Row]) -> BesideJudge | None:
    min_mean = base_content(queue.dataset).gate.min_mean
    said = [
        (kind != Decision.Kind.REJECT, score >= min_mean)
        for _pk, _rater, kind, judge_seen, score in rows
        if score is not None and not judge_seen
    ]
    if not said:
        return None
    cells = ((True, True), (True, False), (False, True), (False, False))
    return BesideJudge(*(said.count(cell) for cell in cells))
