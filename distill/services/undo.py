"""Take a decision back."""

from __future__ import annotations

import uuid

from django.contrib.auth.models import User
from django.db import transaction

from distill.logic.errors import ConflictError, InputError
from distill.models import CompletionState, Decision
from distill.services.relabel import relabel


def undo_decision(*, decision_id: int, reviewer: User, client_id: uuid.UUID) -> Decision:
    """Add the decision that undoes one's own; the label follows from those that remain.

    Undoing what is undone already changes nothing and returns the undo that is stored.
    """
    with transaction.atomic():
        decision = Decision.objects.filter(pk=decision_id, reviewer=reviewer).first()
        if decision is None:
            raise InputError("There is no such decision of yours to undo.")
        if decision.kind == Decision.Kind.UNDO:
            raise InputError("An undo cannot be undone; decide the completion again.")
        # Decisions on one completion come one after the other.
        list(CompletionState.objects.select_for_update().filter(pk=decision.completion_id))
        undo = Decision.objects.filter(undoes=decision).first()
        if undo is None:
            _refuse_settled(decision)
            undo = _add_undo(decision, client_id)
            relabel(completion_id=decision.completion_id)
    return undo


def _refuse_settled(decision: Decision) -> None:
    """What a lead has settled on these decisions must not change under them."""
    settled = Decision.objects.filter(
        completion=decision.completion_id, is_adjudication=True, undone_by=None
    ).exclude(kind=Decision.Kind.UNDO)
    adjudication = None if decision.is_adjudication else settled.select_related("reviewer").last()
    if adjudication is not None:
        raise ConflictError(
            f"{adjudication.reviewer} has settled this completion: ask a lead to reopen it, then "
            "take yours back."
        )


def _add_undo(decision: Decision, client_id: uuid.UUID) -> Decision:
    undo, is_new = Decision.objects.get_or_create(
        client_id=client_id,
        defaults={
            "completion_id": decision.completion_id,
            "reviewer_id": decision.reviewer_id,
            "kind": Decision.Kind.UNDO,
            "undoes": decision,
        },
    )
    if not is_new:
        raise id_taken()
    return undo


def id_taken() -> ConflictError:
    """The error for an undo under the client id of another decision."""
    return ConflictError("This undo's id belongs to another decision: use a new one.")
