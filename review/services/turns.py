"""Let what one person does come one after the other, and no queue change under it."""

from __future__ import annotations

from django.db import connection

_PERSON = 0x6E65_7872
_QUEUE = 0x6E65_7873
_IDS = 2**31


def wait_turn(*, reviewer_id: int, queue_id: int) -> None:
    """Wait until nothing else of this person is going on, and no change of this queue.

    A person with two windows could otherwise be given one completion by two queues at once. Call it
    first in a transaction, whose end lets the next one go.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s, %s), pg_advisory_xact_lock_shared(%s, %s)",
            [_PERSON, reviewer_id % _IDS, _QUEUE, queue_id % _IDS],
        )


def wait_alone(*, queue_id: int) -> None:
    """Wait until nobody is being given a card of the queue, or is deciding one, at this moment."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [_QUEUE, queue_id % _IDS])
