"""What was rejected and may be regenerated, by whom, and what people said of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

from django.db.models import Exists, OuterRef, Q, QuerySet

from distill.logic.reasons import Reason
from distill.logic.regeneration import RegenerationConfig, Rejection
from distill.models import CompletionState, Decision, Label, Run

MAX_COUNTED = 100_000
_ACCEPTED = Q(completion__label__outcome=Label.Outcome.ACCEPTED)
_BY_PEOPLE = Q(completion__label__outcome=Label.Outcome.REJECTED)
# What a person accepted stands, whatever the gate said of it.
_BY_GATE = Q(state=CompletionState.State.REJECTED) & ~_ACCEPTED


def rejected_states(
    *,
    dataset_id: int,
    config: RegenerationConfig,
    rejected_by: str = Run.RejectedBy.ANYBODY,
    reasons: Collection[Reason] = (),
) -> QuerySet[CompletionState]:
    """The open completions of a dataset that were rejected and have attempts left.

    With `reasons`, those that were rejected for one of them: by a verdict, or by a decision that
    stands.
    """
    gate = _BY_GATE & Q(verdict__isnull=False, completion__attempt__lt=config.max_attempts)
    people = _BY_PEOPLE & Q(completion__attempt__lt=config.max_attempts_after_review)
    if reasons:
        said = _standing_rejections().filter(
            completion=OuterRef("completion"), reasons__overlap=list(reasons)
        )
        gate &= Q(reasons__overlap=list(reasons))
        people &= Q(Exists(said))
    wanted = {
        Run.RejectedBy.GATE: gate,
        Run.RejectedBy.PEOPLE: people,
        Run.RejectedBy.ANYBODY: gate | people,
    }
    return CompletionState.objects.filter(
        wanted[Run.RejectedBy(rejected_by)], dataset=dataset_id, is_open=True
    )


def count_rejected(
    *, dataset_id: int, config: RegenerationConfig, rejected_by: str = Run.RejectedBy.ANYBODY
) -> int:
    """How many could be regenerated; `MAX_COUNTED + 1` stands for more."""
    found = rejected_states(dataset_id=dataset_id, config=config, rejected_by=rejected_by)
    return found.order_by()[: MAX_COUNTED + 1].count()


def still_rejected(completion_ids: Collection[int]) -> set[int]:
    """Those of the completions that the gate or people reject as things stand now."""
    states = CompletionState.objects.filter(_BY_GATE | _BY_PEOPLE, completion__in=completion_ids)
    return set(states.values_list("completion", flat=True))


def rejections_of(completion_ids: Collection[int]) -> dict[int, tuple[Rejection, ...]]:
    """What people hold against each completion now, in the order in which they said it."""
    found: dict[int, list[Decision]] = defaultdict(list)
    for decision in _standing_rejections().filter(completion__in=completion_ids).order_by("id"):
        found[decision.completion_id].append(decision)
    return {pk: tuple(map(_rejection, decisions)) for pk, decisions in found.items()}


def standing_after(decisions: Sequence[Decision]) -> tuple[Rejection, ...]:
    """What people held against a completion after these decisions on it, its first ones."""
    undone = {decision.undoes_id for decision in decisions}
    return tuple(
        _rejection(decision)
        for decision in decisions
        if decision.kind == Decision.Kind.REJECT and decision.pk not in undone
    )


def _standing_rejections() -> QuerySet[Decision]:
    return Decision.objects.filter(kind=Decision.Kind.REJECT, undone_by=None)


def _rejection(decision: Decision) -> Rejection:
    return Rejection(tuple(map(Reason, decision.reasons)), decision.note)
