"""What people said of completions."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from distill.models.completion import Completion
from distill.models.run import REASONS


class Decision(models.Model):
    """What a person did with one completion. Append-only: undo is a further decision."""

    class Kind(models.TextChoices):
        ACCEPT = "accept"
        REJECT = "reject"
        EDIT = "edit"
        SKIP = "skip"
        FLAG = "flag"
        PREFER = "prefer"
        PREFER_RIVAL = "prefer_rival"
        TIE = "tie"
        UNDO = "undo"

    VERDICTS = (Kind.ACCEPT, Kind.EDIT, Kind.REJECT)
    """What counts for a label."""

    completion = models.ForeignKey(Completion, models.CASCADE, related_name="decisions")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="decisions")
    kind = models.CharField(max_length=12, choices=Kind)
    rival = models.ForeignKey(
        Completion,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="rival_decisions",
        help_text="The other completion of the sample, where two were compared.",
    )
    reasons = ArrayField(models.CharField(max_length=30, choices=REASONS), default=list)
    note = models.TextField(blank=True)
    fields = models.JSONField(null=True, help_text="An edit's new fields.")
    undoes = models.OneToOneField("self", models.CASCADE, null=True, related_name="undone_by")
    client_id = models.UUIDField(default=uuid.uuid4, unique=True)
    judge_seen = models.BooleanField(default=False)
    required_reviews = models.PositiveSmallIntegerField(
        default=1, help_text="How many reviews its queue wanted of the completion."
    )
    is_adjudication = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Settles what people disagreed on; the label rests on it alone.",
    )
    guidelines_version = models.PositiveIntegerField(
        null=True, help_text="The version of the queue's guidelines that was in force."
    )
    is_legacy = models.BooleanField(
        default=False, help_text="Imported, made elsewhere with the judge in sight."
    )
    active_ms = models.PositiveIntegerField(null=True)
    # Not auto_now_add: an imported decision keeps the time at which it was made.
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["reviewer", "-id"], name="decision_by_reviewer")]

    def __str__(self) -> str:
        return f"{self.kind} of completion {self.completion_id}"


class Label(models.Model):
    """The resolved human outcome of a completion, derived from its decisions."""

    class Outcome(models.TextChoices):
        ACCEPTED = "accepted"
        REJECTED = "rejected"

    class Basis(models.TextChoices):
        SINGLE = "single"
        UNANIMOUS = "unanimous"
        ADJUDICATED = "adjudicated"
        LEGACY = "legacy"

    completion = models.OneToOneField(
        Completion, models.CASCADE, primary_key=True, related_name="label"
    )
    outcome = models.CharField(max_length=10, choices=Outcome)
    basis = models.CharField(max_length=12, choices=Basis, default=Basis.SINGLE)
    decision = models.ForeignKey(Decision, models.CASCADE, related_name="+")
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"completion {self.completion_id}: {self.outcome}"
