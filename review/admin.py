"""Queues and slots in Django's admin, read-only: the site's pages move them."""

from __future__ import annotations

from distill.admin import register
from review.models import GuidelineReading, Queue, Slot

register(
    Queue,
    ["dataset", "name", "required_reviews", "is_closed", "guidelines_version", "created_at"],
    ["is_closed", "is_default"],
)
register(GuidelineReading, ["queue", "reviewer", "version", "created_at"])
register(
    Slot,
    ["queue", "completion", "number", "state", "reviewer"],
    ["state"],
    named_by=["queue__dataset"],
)
