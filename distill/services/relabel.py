"""Derive a completion's label from its decisions."""

from __future__ import annotations

from distill.logic.labels import Opinion, resolve_outcome
from distill.models import Decision, Label


def relabel(*, completion_id: int) -> Label | None:
    """Set, change or remove the label so that it follows from the decisions that stand.

    Call it in the transaction that wrote the decision, under the lock of the completion's state.
    """
    decisions = Decision.objects.filter(completion=completion_id).values_list(
        "id", "kind", "undone_by", "required_reviews", "is_legacy", "is_adjudication"
    )
    outcome = resolve_outcome(
        Opinion(pk, kind, undone_by is not None, wanted, is_legacy, is_adjudication)
        for pk, kind, undone_by, wanted, is_legacy, is_adjudication in decisions
    )
    if outcome is None:
        Label.objects.filter(completion=completion_id).delete()
        return None
    label = Label(
        completion_id=completion_id,
        outcome=outcome.name,
        basis=outcome.basis,
        decision_id=outcome.decision_id,
    )
    Label.objects.bulk_create(
        [label],
        update_conflicts=True,
        unique_fields=["completion"],
        update_fields=["outcome", "basis", "decision", "updated_at"],
    )
    return label
