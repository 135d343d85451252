"""Queues and the slots in them. What people decide is kept in `distill`, by its services."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from distill.models import Completion, Dataset, Decision


class Queue(models.Model):
    """Completions of one dataset that people shall decide: those that its filter takes.

    `filter` is a validated `logic.queue_filter.QueueFilter`. Each dataset has one queue that is
    made by itself (`is_default`) and takes what passed the gate; leads make further ones. Reviews
    wanted and filter cannot change once a decision is there; new guidelines are a new version.
    """

    dataset = models.ForeignKey(Dataset, models.CASCADE, related_name="queues")
    name = models.CharField(max_length=100)
    is_default = models.BooleanField(default=False)
    is_closed = models.BooleanField(default=False, help_text="No further cards are given out.")
    filter = models.JSONField(default=dict)
    required_reviews = models.PositiveSmallIntegerField(default=1)
    guidelines = models.TextField(blank=True, help_text="Empty: the shipped ones.")
    guidelines_version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["dataset", "name"], name="queue_name_once"),
            models.UniqueConstraint(
                fields=["dataset"], condition=Q(is_default=True), name="queue_default_once"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class GuidelineReading(models.Model):
    """That a person has read a version of a queue's guidelines, which opens its cards."""

    queue = models.ForeignKey(Queue, models.CASCADE, related_name="readings")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    version = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["queue", "reviewer", "version"], name="guideline_reading_once"
            ),
        ]

    def __str__(self) -> str:
        return f"guidelines v{self.version} of queue {self.queue_id}"


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
            models.UniqueConstraint(fields=["queue", "completion", "number"], name="slot_once"),
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
