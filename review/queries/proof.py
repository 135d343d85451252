"""The proof, signed into a card's form, that this reviewer was given this card."""

from __future__ import annotations

import uuid

from django.core import signing

from distill.logic.errors import InputError
from review.models import Slot

_SALT = "review.card"


def prove_card(slot: Slot) -> str:
    """Return the proof for the reviewer who holds the slot."""
    return signing.dumps(
        [slot.pk, slot.queue_id, slot.reviewer_id, str(slot.lease_token)], salt=_SALT
    )


def read_proof(proof: str, *, slot_id: int, queue_id: int, reviewer_id: int) -> uuid.UUID:
    """Return the lease's token. Raises InputError where the card was given to nobody or another.

    It has no end: a decision that comes late is kept, whoever has the card by then.
    """
    try:
        given = signing.loads(proof, salt=_SALT)
    except signing.BadSignature:
        given = None
    if given is None or given[:3] != [slot_id, queue_id, reviewer_id]:
        raise InputError("Not saved. This card was not given to you: take a card from the queue.")
    return uuid.UUID(given[3])
