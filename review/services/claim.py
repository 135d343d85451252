"""Give a reviewer the next slots of a queue."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction

from distill.logic.errors import ConflictError
from review.logic.leases import LEASE
from review.models import Slot
from review.queries.guidelines import may_claim
from review.queries.slots import claimable_slots
from review.services.release import release_expired
from review.services.turns import wait_turn

# The picked rows are found once and locked before they are changed; in a plain `IN (SELECT …)`
# the planner may look for them again for each row, and take more than were asked for.
_CLAIM = """
WITH picked AS MATERIALIZED ({candidates})
UPDATE review_slot AS slot
SET state = 'claimed', reviewer_id = %s, lease_token = gen_random_uuid(), lease_until = %s
FROM picked
WHERE slot.id = picked.id AND slot.state = 'open'
RETURNING slot.*
"""


def claim_next(*, queue_id: int, reviewer: User, count: int = 1, now: datetime) -> list[Slot]:
    """Claim up to `count` slots, highest priority first; fewer, or none, when there are no more.

    Slots that another claim is just taking are stepped over, so nobody waits for anybody. A closed
    queue gives none. Raises ConflictError while the reviewer has not read the queue's guidelines in
    their present version.
    """
    release_expired(now=now)
    with transaction.atomic():
        wait_turn(reviewer_id=reviewer.pk, queue_id=queue_id)
        may = may_claim(queue_id=queue_id, reviewer=reviewer)
        if may.is_closed:
            return []
        if not may.has_read:
            raise ConflictError("Read the queue's guidelines first, then start.")
        candidates = (
            claimable_slots(queue_id=queue_id, reviewer=reviewer)
            .select_for_update(skip_locked=True, of=("self",))
            .values_list("id")[:count]
        )
        sql, params = candidates.query.sql_with_params()
        claimed = Slot.objects.raw(
            _CLAIM.format(candidates=sql), [*params, reviewer.pk, now + LEASE]
        )
        return sorted(claimed, key=lambda slot: (-slot.priority, slot.pk))
