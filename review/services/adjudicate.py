"""Settle what people disagree on, or have put before a lead."""

from __future__ import annotations

import uuid
from collections.abc import Collection

from django.contrib.auth.models import User
from django.db import transaction

from distill.logic.errors import ConflictError, InputError
from distill.logic.reasons import Reason
from distill.models import Decision
from distill.services.decide import record_decision
from distill.services.undo import undo_decision
from review.models import Adjudication, Slot
from review.queries.unsettled import is_unsettled


def adjudicate(
    *,
    queue_id: int,
    completion_id: int,
    adjudicator: User,
    kind: str,
    reasons: Collection[Reason] = (),
    note: str,
    cause: str,
    wants_guidelines: bool = False,
    client_id: uuid.UUID,
) -> Decision:
    """Record the lead's accept or reject, which is the label from now on.

    Only of a completion that waits for it in the queue, by somebody who has not reviewed it, and
    with a note that says why; the same `client_id` again changes nothing. Raises InputError and
    ConflictError where one of that is missing.
    """
    if kind not in (Decision.Kind.ACCEPT, Decision.Kind.REJECT):
        raise InputError("Accept it or reject it.")
    if not note.strip():
        raise InputError("Say in a note why: the reviewers learn from it.")
    if cause not in Adjudication.Cause:
        raise InputError("Choose why people disagreed.")
    with transaction.atomic():
        # The completion's slots first, as every decision does.
        list(Slot.objects.filter(completion=completion_id).order_by("id").select_for_update())
        stored = Decision.objects.filter(client_id=client_id).first()
        if stored is not None:
            return stored
        _refuse_own(completion_id, adjudicator)
        if not is_unsettled(queue_id=queue_id, completion_id=completion_id):
            raise ConflictError("This is settled already, or waits for further reviews.")
        decision = record_decision(
            completion_id=completion_id,
            reviewer=adjudicator,
            kind=kind,
            reasons=reasons,
            note=note.strip(),
            client_id=client_id,
            judge_seen=True,
            is_adjudication=True,
        )
        Adjudication.objects.create(
            decision=decision, queue_id=queue_id, cause=cause, wants_guidelines=wants_guidelines
        )
    return decision


def reopen(*, decision_id: int) -> Decision:
    """Take an adjudication back, whoever of the leads made it: what reviewers said counts again.

    A second time changes nothing. Raises InputError where there is no such adjudication.
    """
    decision = Decision.objects.filter(pk=decision_id, is_adjudication=True).first()
    if decision is None:
        raise InputError("There is no such adjudication.")
    return undo_decision(
        decision_id=decision.pk, reviewer=decision.reviewer, client_id=uuid.uuid4()
    )


def _refuse_own(completion_id: int, adjudicator: User) -> None:
    mine = Decision.objects.filter(completion=completion_id, reviewer=adjudicator)
    if mine.exclude(kind=Decision.Kind.UNDO).filter(is_adjudication=False).exists():
        raise ConflictError("You have reviewed this completion yourself: another lead settles it.")
