"""What people decided as lines of label files, read in batches and flat memory.

A line holds whatever rebuilds its sample and completion, and names no person: a pseudonym stands
for each, the same in every file of this site.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date
from itertools import islice
from typing import Any

import orjson
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.db.models.functions import TruncDate
from django.utils.crypto import salted_hmac

from distill.logic.errors import InputError
from distill.logic.label_lines import PSEUDONYM, Kind, LabelledDecision, write_decision
from distill.logic.reasons import Reason
from distill.logic.recipe import Recipe, default_recipe
from distill.models import Completion, Dataset, Decision, Label
from distill.models import Recipe as RecipeRow
from distill.queries.sent_messages import first_messages

MAX_COUNTED = 100_000
_BATCH = 500
_SALT = "distill.reviewer"
_KINDS: dict[str, Kind] = {"accept": "accept", "edit": "edit", "reject": "reject"}


def pseudonym(user: User) -> str:
    """The name of a reviewer in files: from the user's id and the site's secret.

    Who came here by a label file keeps the pseudonym that they had there.
    """
    if not user.is_active and PSEUDONYM.fullmatch(user.username):
        return user.username
    return f"reviewer-{salted_hmac(_SALT, str(user.pk)).hexdigest()[:8]}"


def standing_decisions(dataset: Dataset | None = None) -> QuerySet[Decision]:
    """Every accept, edit and reject that stands, on candidates of their dataset."""
    decisions = Decision.objects.filter(kind__in=Decision.VERDICTS, undone_by=None)
    if dataset is None:
        return decisions.filter(completion__state_row__dataset__isnull=False)
    return decisions.filter(completion__state_row__dataset=dataset)


def labels(dataset: Dataset | None = None) -> QuerySet[Label]:
    """The labels that files hold: all accepted ones, and the rejected ones that nothing replaced.

    What a later attempt has replaced needs no regeneration; the files by day hold it.
    """
    wanted = Q(outcome=Label.Outcome.ACCEPTED) | Q(completion__state_row__is_open=True)
    found = Label.objects.filter(wanted)
    if dataset is None:
        return found.filter(completion__state_row__dataset__isnull=False)
    return found.filter(completion__state_row__dataset=dataset)


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """How many lines the label files of a dataset would have; `MAX_COUNTED + 1` stands for more."""

    accepted: int
    rejected: int
    decisions: int


def count_labels(dataset: Dataset) -> LabelCounts:
    """Count what the label files of a dataset would hold, in three queries; in one, if nothing."""
    decisions = standing_decisions(dataset).order_by()[: MAX_COUNTED + 1].count()
    if not decisions:
        return LabelCounts(0, 0, 0)
    found = labels(dataset).order_by()
    accepted = found.filter(outcome=Label.Outcome.ACCEPTED)[: MAX_COUNTED + 1]
    rejected = found.filter(outcome=Label.Outcome.REJECTED)[: MAX_COUNTED + 1]
    return LabelCounts(accepted.count(), rejected.count(), decisions)


class LabelLines:
    """Writes lines in an order that no database's ids decide; remembers recipes."""

    def __init__(self, dataset: Dataset | None = None) -> None:
        self._dataset = dataset
        self._recipes: dict[int, Recipe] = {}
        self._default = default_recipe()

    def with_outcome(self, outcome: str) -> Iterator[bytes]:
        """A line for each label of this outcome, with all decisions that stand beside it."""
        found = labels(self._dataset).filter(outcome=outcome)
        ordered = found.select_related(
            "completion__sample__dataset", "completion__label", "decision__reviewer"
        ).order_by(*_order("completion__"))
        rows = ordered.iterator(chunk_size=_BATCH)
        while batch := list(islice(rows, _BATCH)):
            others = _others(batch, self._dataset)
            for label in batch:
                yield self._line(label.completion, label.decision, others[label.completion_id])

    def by_day(self) -> Iterator[tuple[date, bytes]]:
        """Each decision that stands, with the day (in UTC) on which it was made, in their order."""
        found = standing_decisions(self._dataset).annotate(day=TruncDate("created_at", tzinfo=UTC))
        ordered = found.select_related(
            "completion__sample__dataset", "completion__label", "reviewer"
        ).order_by("day", *_order("completion__"), "created_at", "id")
        for decision in ordered.iterator(chunk_size=_BATCH):
            yield decision.day, self._line(decision.completion, decision, [])

    def _line(
        self, completion: Completion, decision: Decision, others: Sequence[Decision]
    ) -> bytes:
        sample = completion.sample
        label: Label | None = getattr(completion, "label", None)
        cells: dict[str, Any] = {
            "sample_id": sample.key,
            "completion_id": completion.key,
            "dataset": sample.dataset.name,
            "prompt": self._prompt(completion),
            "context": sample.text,
            "domain": sample.domain,
            "template_name": sample.template_name,
            "title": sample.title,
            "instruction": sample.instruction,
            "source_id": sample.source_key,
            "text": completion.text,
            "draw": completion.draw,
            "attempt": completion.attempt,
            "teacher": completion.teacher,
            "model": completion.model,
            "finish_reason": completion.finish_reason,
            "label": label.outcome if label else None,
            "basis": label.basis if label else None,
            **write_decision(_as_labelled(decision)),
            "others": [write_decision(_as_labelled(other)) for other in others],
        }
        return orjson.dumps(cells, option=orjson.OPT_APPEND_NEWLINE)

    def _prompt(self, completion: Completion) -> str:
        """What was asked at first, whichever attempt this is."""
        sample = completion.sample
        try:
            return first_messages(self._recipe(completion.recipe_id), sample)[-1].content
        except InputError:
            # An imported sample may name a template of its own: its instruction is the question.
            return f"{sample.instruction}\n\n{sample.text}".strip()

    def _recipe(self, recipe_id: int | None) -> Recipe:
        if recipe_id is None:
            return self._default
        if recipe_id not in self._recipes:
            self._recipes[recipe_id] = RecipeRow.objects.get(pk=recipe_id).content
        return self._recipes[recipe_id]


def _order(path: str) -> list[str]:
    names = ("sample__dataset__name", "sample__key", "draw", "attempt", "key")
    return [f"{path}{name}" for name in names]


def _others(batch: Sequence[Label], dataset: Dataset | None) -> dict[int, list[Decision]]:
    """Of each label's completion, the decisions that stand beside the one that it rests on."""
    found: dict[int, list[Decision]] = defaultdict(list)
    beside = (
        standing_decisions(dataset)
        .filter(completion__in=[label.completion_id for label in batch])
        .exclude(pk__in=[label.decision_id for label in batch])
    )
    for decision in beside.select_related("reviewer").order_by("created_at", "id"):
        found[decision.completion_id].append(decision)
    return found


def _as_labelled(decision: Decision) -> LabelledDecision:
    return LabelledDecision(
        reviewer=pseudonym(decision.reviewer),
        kind=_KINDS[decision.kind],
        decided_at=decision.created_at,
        reasons=tuple(map(Reason, decision.reasons)),
        note=decision.note,
        judge_seen=decision.judge_seen,
        required_reviews=decision.required_reviews,
        is_legacy=decision.is_legacy,
        is_adjudication=decision.is_adjudication,
        edited=decision.fields,
    )
