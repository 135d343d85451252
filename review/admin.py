"""Queues and slots in Django's admin, read-only: the site's pages move them."""

from __future__ import annotations

from distill.admin import register
from review.models import Queue, Slot

register(Queue, ["dataset", "required_reviews", "created_at"])
register(
    Slot,
    ["queue", "completion", "number", "state", "reviewer"],
    ["state"],
    named_by=["queue__dataset"],
)
