"""Note that a person has read a queue's guidelines."""

from __future__ import annotations

from django.contrib.auth.models import User

from distill.logic.errors import ConflictError
from review.models import GuidelineReading, Queue


def read_guidelines(*, queue_id: int, reviewer: User, version: int) -> None:
    """Open the queue's cards to the reviewer; a second time changes nothing.

    Raises ConflictError where `version` is not the one that the queue has now: the person has read
    another text.
    """
    current = Queue.objects.values_list("guidelines_version", flat=True).get(pk=queue_id)
    if version != current:
        raise ConflictError("The guidelines have changed while you read them: read them again.")
    GuidelineReading.objects.get_or_create(queue_id=queue_id, reviewer=reviewer, version=version)
