"""Keep an edit that a reviewer has begun."""

from __future__ import annotations

from collections.abc import Mapping

from django.contrib.auth.models import User
from django.db import transaction

from distill.logic.errors import ConflictError
from review.logic.edited_fields import check_fields
from review.models import Draft, Slot
from review.services.drop_draft import drop_draft


def save_draft(*, slot_id: int, reviewer: User, fields: Mapping[str, str]) -> Draft | None:
    """Store the fields as the reviewer's draft; None where they are the original's, and none is kept.

    The last one saved stands. Raises ConflictError where the reviewer does not hold the slot any
    more, InputError for fields that are not the completion's.
    """
    with transaction.atomic():
        held = Slot.objects.filter(pk=slot_id, reviewer=reviewer, state=Slot.State.CLAIMED)
        # Locked, so that no draft is left behind by a decision that is made at this moment.
        slot = held.select_related("completion").select_for_update(of=("self",)).first()
        if slot is None:
            raise ConflictError(
                "The draft was not saved: this card is not yours any more. Copy your words before "
                "you leave it."
            )
        original = slot.completion.fields
        check_fields(fields, original=original)
        if dict(fields) == original:
            drop_draft(completion_id=slot.completion_id, reviewer=reviewer)
            return None
        draft, _is_new = Draft.objects.update_or_create(
            completion_id=slot.completion_id, reviewer=reviewer, defaults={"fields": dict(fields)}
        )
        return draft
