"""Queues and slots in Django's admin, read-only: the site's pages move them."""

from __future__ import annotations

from distill.admin import register
from review.models import Adjudication, Draft, Gold, GuidelineReading, KeyMap, Queue, Slot

register(
    Queue,
    [
        "dataset",
        "name",
        "mode",
        "required_reviews",
        "is_closed",
        "guidelines_version",
        "created_at",
    ],
    ["is_closed", "is_default"],
)
register(GuidelineReading, ["queue", "reviewer", "version", "created_at"])
register(
    Slot,
    ["queue", "completion", "number", "state", "reviewer"],
    ["state"],
    named_by=["queue__dataset"],
)
register(Gold, ["queue", "completion", "outcome", "created_by"], ["outcome"])
register(Draft, ["completion", "reviewer", "updated_at"])
register(Adjudication, ["decision", "queue", "cause", "wants_guidelines"], ["cause"])
register(KeyMap, ["reviewer", "is_on"], ["is_on"])
