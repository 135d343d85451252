"""Write what a person decided of a completion."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping

from django.contrib.auth.models import User
from django.db import transaction

from distill.logic.errors import ConflictError, InputError
from distill.logic.reasons import REVIEWER_REASONS, Reason
from distill.models import Completion, CompletionState, Decision
from distill.services.relabel import relabel

COMPARISONS = (Decision.Kind.PREFER, Decision.Kind.PREFER_RIVAL, Decision.Kind.TIE)
_DONE = {
    Decision.Kind.ACCEPT: "accepted",
    Decision.Kind.EDIT: "edited",
    Decision.Kind.REJECT: "rejected",
}
KINDS = tuple(kind for kind in Decision.Kind if kind != Decision.Kind.UNDO)


def record_decision(
    *,
    completion_id: int,
    reviewer: User,
    kind: str,
    reasons: Collection[Reason] = (),
    note: str = "",
    fields: Mapping[str, str] | None = None,
    rival_id: int | None = None,
    client_id: uuid.UUID,
    judge_seen: bool = False,
    active_ms: int | None = None,
    required_reviews: int = 1,
    guidelines_version: int | None = None,
    is_legacy: bool = False,
    is_adjudication: bool = False,
) -> Decision:
    """Add one decision and derive the label; the same `client_id` again returns what is stored.

    Accept, edit (with the person's own words in `fields`) and reject count for the label
    (`logic.labels.resolve_outcome` says how); a skip, a flag for a lead and a comparison with the
    completion `rival_id` do not. An adjudication settles what people disagree on.
    `required_reviews` is how many the queue wants of the completion; a decision made elsewhere and
    imported is legacy. A person decides a completion once: who has accepted or rejected it gets a
    ConflictError until that is undone. Raises InputError for what is no decision of a reviewer.
    """
    _check(kind, reasons)
    if (kind == Decision.Kind.EDIT) != bool(fields):
        raise InputError("An edit, and nothing else, brings words of its own.")
    if (kind in COMPARISONS) != (rival_id is not None):
        raise InputError("Only where two completions are compared one can be preferred.")
    with transaction.atomic():
        _lock(completion_id)
        stored = Decision.objects.filter(client_id=client_id).first()
        if stored is None:
            _refuse_second(completion_id, reviewer)
            if fields:
                _check_words(completion_id, fields)
            # Another completion's decision may take the same client id at this very moment.
            stored, _ = Decision.objects.get_or_create(
                client_id=client_id,
                defaults={
                    "completion_id": completion_id,
                    "reviewer": reviewer,
                    "kind": kind,
                    "reasons": [reason.value for reason in dict.fromkeys(reasons)],
                    "note": note,
                    "fields": fields,
                    "rival_id": rival_id,
                    "guidelines_version": guidelines_version,
                    "judge_seen": judge_seen,
                    "active_ms": active_ms,
                    "required_reviews": required_reviews,
                    "is_legacy": is_legacy,
                    "is_adjudication": is_adjudication,
                },
            )
            relabel(completion_id=completion_id)
        if (stored.completion_id, stored.reviewer_id) != (completion_id, reviewer.pk):
            raise ConflictError("This decision's id belongs to another one; reload the page.")
    return stored


def _check(kind: str, reasons: Collection[Reason]) -> None:
    if kind not in KINDS:
        raise InputError(f"Unknown decision {kind!r}; it must be one of {', '.join(KINDS)}.")
    if kind != Decision.Kind.REJECT and reasons:
        raise InputError("Only a rejection takes reasons.")
    if kind == Decision.Kind.REJECT and not reasons:
        raise InputError("A rejection needs a reason: choose one of 1 to 9.")
    if unknown := [reason for reason in reasons if reason not in REVIEWER_REASONS]:
        raise InputError(f"{unknown[0]!s} is not a reason that a reviewer gives.")


def _check_words(completion_id: int, fields: Mapping[str, str]) -> None:
    """An edit gives each field of the completion, none of them blank, and changes something."""
    stored: dict[str, object] = Completion.objects.values_list("fields", flat=True).get(
        pk=completion_id
    )
    if set(fields) != set(stored):
        raise InputError(f"An edit must give each field of the answer: {', '.join(stored)}.")
    if blank := [name for name, words in fields.items() if not words.strip()]:
        raise InputError(f"The edit leaves {blank[0]} empty: write something, or reject it.")
    if all(words == str(stored[name]) for name, words in fields.items()):
        raise InputError("Nothing is changed: accept it as it is.")


def _lock(completion_id: int) -> None:
    """Let the decisions of one completion come one after the other."""
    states = CompletionState.objects.select_for_update().filter(pk=completion_id)
    if not states.values_list("pk").first():
        raise InputError(f"There is no completion {completion_id}; it may have been deleted.")


def _refuse_second(completion_id: int, reviewer: User) -> None:
    mine = Decision.objects.filter(
        completion=completion_id,
        reviewer=reviewer,
        kind__in=_DONE,
        undone_by=None,
    ).first()
    if mine is not None:
        done = _DONE[Decision.Kind(mine.kind)]
        raise ConflictError(f"You have {done} this completion already; undo that to change it.")
