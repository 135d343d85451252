"""Queues and the slots in them. What people decide is kept in `distill`, by its services."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from distill.models import Completion, Dataset, Decision


class Queue(models.Model):
    """Completions of one dataset that people shall decide; one per dataset for now."""

    dataset = models.OneToOneField(Dataset, models.CASCADE, related_name="queue")
    required_reviews = models.PositiveSmallIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"queue of {self.dataset}"


class Slot(models.Model):
    """One wanted review of one completion.

    A completion that needs n reviews has n slots, so that n cannot be exceeded.
    """

    class State(models.TextChoices):
        OPEN = "open"
        CLAIMED = "claimed"
        DONE = "done"
        SUPERSEDED = "superseded"

    queue = models.ForeignKey(Queue, models.CASCADE, related_name="slots")
    completion = models.ForeignKey(Completion, models.CASCADE, related_name="slots")
    number = models.PositiveSmallIntegerField(default=1)
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    priority = models.FloatField(default=0)
    reviewer = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="slots"
    )
    lease_token = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    decision = models.OneToOneField(
        Decision, models.SET_NULL, null=True, blank=True, related_name="slot"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["completion", "number"], name="slot_once"),
            models.UniqueConstraint(
                fields=["completion", "reviewer"],
                condition=Q(reviewer__isnull=False),
                name="slot_one_reviewer",
            ),
        ]
        indexes = [
            models.Index(
                "queue",
                F("priority").desc(),
                "id",
                condition=Q(state="open"),
                name="slot_open",
            ),
            models.Index("queue", condition=Q(state="done"), name="slot_done"),
            models.Index("lease_until", condition=Q(state="claimed"), name="slot_leased"),
        ]

    def __str__(self) -> str:
        return f"slot {self.number} of completion {self.completion_id}"
