"""Queues and the slots in them. What people decide is kept in `distill`, by its services."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from distill.models import Completion, Dataset, Decision, Label


class Queue(models.Model):
    """Completions of one dataset that people shall decide: those that its filter takes.

    `filter` is a validated `logic.queue_filter.QueueFilter`. Each dataset has one queue that is
    made by itself (`is_default`) and takes what passed the gate; leads make further ones. Reviews
    wanted and filter cannot change once a decision is there; new guidelines are a new version.
    """

    class Mode(models.TextChoices):
        BLIND = "blind", "Blind: the judge stays hidden until the decision"
        ASSISTED = "assisted", "Assisted: the judge is shown, and every label says so"
        PAIRWISE = "pairwise", "Pairwise: the better of two completions of a sample"

    dataset = models.ForeignKey(Dataset, models.CASCADE, related_name="queues")
    name = models.CharField(max_length=100)
    is_default = models.BooleanField(default=False)
    is_closed = models.BooleanField(default=False, help_text="No further cards are given out.")
    filter = models.JSONField(default=dict)
    mode = models.CharField(max_length=10, choices=Mode, default=Mode.BLIND)
    required_reviews = models.PositiveSmallIntegerField(default=1)
    overlap_share = models.PositiveSmallIntegerField(
        default=100, help_text="Per cent of the completions that get all reviews; the others one."
    )
    random_share = models.PositiveSmallIntegerField(
        default=15, help_text="Per cent of the cards that come from a random stream."
    )
    reject_reasons = ArrayField(
        models.CharField(max_length=30),
        default=list,
        blank=True,
        help_text="In the order of their digits. Empty: all of them.",
    )
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
    rival = models.ForeignKey(
        Completion,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="rival_slots",
        help_text="The other completion of the sample, where two are compared.",
    )
    required_reviews = models.PositiveSmallIntegerField(
        default=1, db_default=1, help_text="How many reviews the queue wants of this completion."
    )
    priority = models.FloatField(default=0)
    why = models.CharField(
        max_length=30,
        blank=True,
        default="",
        db_default="",
        help_text="Why it comes early: a code.",
    )
    is_random = models.BooleanField(
        default=False, db_default=False, help_text="Of the random stream."
    )
    judge_seen = models.BooleanField(
        default=False, db_default=False, help_text="Its reviewer has looked at it."
    )
    hand_order = models.IntegerField(
        default=0,
        db_default=0,
        help_text="Its place among the cards that its reviewer holds: lowest first.",
    )
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
                "is_random",
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


class Gold(models.Model):
    """A completion of a queue whose outcome is known: what reviewers say is measured against it."""

    queue = models.ForeignKey(Queue, models.CASCADE, related_name="gold")
    completion = models.ForeignKey(Completion, models.CASCADE, related_name="gold")
    outcome = models.CharField(max_length=10, choices=Label.Outcome)
    note = models.TextField(blank=True, help_text="Why it is so.")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "gold"
        constraints = [
            models.UniqueConstraint(fields=["queue", "completion"], name="gold_once"),
        ]

    def __str__(self) -> str:
        return f"completion {self.completion_id} is {self.outcome}"


class Draft(models.Model):
    """An edit that a reviewer has begun and not decided: saved by itself while they type."""

    completion = models.ForeignKey(Completion, models.CASCADE, related_name="drafts")
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    fields = models.JSONField()
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["completion", "reviewer"], name="draft_once"),
        ]

    def __str__(self) -> str:
        return f"draft of completion {self.completion_id}"


class Adjudication(models.Model):
    """How a disagreement was settled: beside the decision that carries the outcome."""

    class Cause(models.TextChoices):
        AMBIGUOUS = "ambiguous", "The completion is ambiguous"
        GUIDELINE_GAP = "guideline_gap", "The guidelines do not say"
        REVIEWER_ERROR = "reviewer_error", "A reviewer overlooked something"
        EDGE_CASE = "edge_case", "A rare case"

    decision = models.OneToOneField(
        Decision, models.CASCADE, primary_key=True, related_name="adjudication"
    )
    queue = models.ForeignKey(Queue, models.CASCADE, related_name="adjudications")
    adopts = models.ForeignKey(
        Decision, models.CASCADE, null=True, blank=True, related_name="adopted_by"
    )
    cause = models.CharField(max_length=20, choices=Cause)
    wants_guidelines = models.BooleanField(
        default=False, help_text="The guidelines should say more about it."
    )

    def __str__(self) -> str:
        return f"adjudication {self.decision_id}"


class KeyMap(models.Model):
    """Which keys a person uses on the review screen, where they are not the usual ones."""

    reviewer = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="key_map"
    )
    is_on = models.BooleanField(default=True, help_text="Single keys act at all.")
    keys = models.JSONField(default=dict, help_text="By action: its key, out of a closed list.")

    def __str__(self) -> str:
        return f"keys of reviewer {self.reviewer_id}"
