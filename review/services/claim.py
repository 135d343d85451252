"""Give a reviewer the next slots of a queue."""

from __future__ import annotations

import random
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet

from distill.logic.errors import ConflictError
from review.models import Slot
from review.queries.guidelines import MayClaim, may_claim
from review.queries.pace import lease_of
from review.queries.slots import claimable_slots
from review.services.release import release_expired
from review.services.turns import wait_turn

# The picked rows are found once and locked before they are changed; in a plain `IN (SELECT …)`
# the planner may look for them again for each row, and take more than were asked for.
_CLAIM = """
WITH picked AS MATERIALIZED ({candidates})
UPDATE review_slot AS slot
SET state = 'claimed', reviewer_id = %s, lease_token = gen_random_uuid(), lease_until = %s,
  judge_seen = %s, hand_order = (
    SELECT coalesce(max(held.hand_order), 0) + 1 FROM review_slot AS held
    WHERE held.queue_id = slot.queue_id AND held.reviewer_id = %s AND held.state = 'claimed')
FROM picked
WHERE slot.id = picked.id AND slot.state = 'open'
RETURNING slot.*
"""
_chance = random.SystemRandom()


def claim_next(*, queue_id: int, reviewer: User, count: int = 1, now: datetime) -> list[Slot]:
    """Claim up to `count` slots; fewer, or none, when there are no more.

    Each comes from the queue's random stream as often as its share says, else by priority; when one
    of the two is empty, from the other. Slots that another claim is just taking are stepped over, so
    nobody waits for anybody. A closed queue gives none. Raises ConflictError while the reviewer has
    not read the queue's guidelines in their present version.
    """
    release_expired(now=now)
    until = now + lease_of(reviewer)
    with transaction.atomic():
        wait_turn(reviewer_id=reviewer.pk, queue_id=queue_id)
        may = may_claim(queue_id=queue_id, reviewer=reviewer)
        if may.is_closed:
            return []
        if not may.has_read:
            raise ConflictError("Read the queue's guidelines first, then start.")
        claimed: list[Slot] = []
        for is_random, wanted in _streams(count, may.random_share):
            if missing := min(wanted, count - len(claimed)):
                stream = claimable_slots(queue_id=queue_id, reviewer=reviewer)
                claimed += _claim(
                    stream.filter(is_random=is_random)[:missing], reviewer, may, until=until
                )
        return sorted(claimed, key=lambda slot: (-slot.priority, slot.pk))


def _streams(count: int, random_share: int) -> list[tuple[bool, int]]:
    """How many to take of each stream, and then of either what is still missing."""
    num_random = sum(_chance.random() * 100 < random_share for _ in range(count))
    return [(False, count - num_random), (True, num_random), (False, count), (True, count)]


def _claim(wanted: QuerySet[Slot], reviewer: User, may: MayClaim, *, until: datetime) -> list[Slot]:
    locked = wanted.select_for_update(skip_locked=True, of=("self",)).values_list("id")
    sql, params = locked.query.sql_with_params()
    given = [reviewer.pk, until, may.is_assisted, reviewer.pk]
    return list(Slot.objects.raw(_CLAIM.format(candidates=sql), [*params, *given]))
