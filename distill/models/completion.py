"""Completions, what judges and the gate said of them, and where each sample × draw stands."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models

from distill.logic.reasons import Stage
from distill.models.dataset import Dataset, Sample
from distill.models.ledger import Call
from distill.models.run import REASONS, Recipe, Run

STAGES = [(stage.value, stage.value) for stage in Stage]


class Completion(models.Model):
    """A model's answer for a sample and draw. Insert-only.

    `key` is a hash of sample, draw, attempt, teacher and text: the same on every machine.
    """

    class Origin(models.TextChoices):
        GENERATED = "generated"
        IMPORTED = "imported"
        EVALUATED = "evaluated", "Answer of a student or base"

    sample = models.ForeignKey(Sample, models.CASCADE, related_name="completions")
    recipe = models.ForeignKey(Recipe, models.PROTECT, null=True, related_name="+")
    call = models.ForeignKey(Call, models.PROTECT, null=True, related_name="completions")
    parent = models.ForeignKey("self", models.CASCADE, null=True, related_name="children")
    key = models.CharField(max_length=32)
    draw = models.PositiveSmallIntegerField(default=0)
    attempt = models.PositiveSmallIntegerField(default=1)
    origin = models.CharField(max_length=10, choices=Origin, default=Origin.GENERATED)
    teacher = models.CharField(max_length=200)
    model = models.CharField(max_length=200, blank=True, help_text="The id that answered.")
    template_name = models.CharField(max_length=100)
    text = models.TextField(help_text="The answer as it arrived.")
    reasoning = models.TextField(
        blank=True, help_text="What a reasoning model thought before it answered; never exported."
    )
    fields = models.JSONField(default=dict, help_text="The answer's parsed fields.")
    finish_reason = models.CharField(max_length=40, blank=True)
    prompt_tokens = models.PositiveIntegerField(null=True)
    completion_tokens = models.PositiveIntegerField(null=True)
    latency_ms = models.PositiveIntegerField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["sample", "key"], name="completion_once"),
        ]
        # What is counted of many is read from here, without their texts.
        indexes = [
            models.Index(
                fields=["id"],
                include=["sample", "draw", "attempt", "call"],
                name="completion_narrow",
            ),
        ]

    def __str__(self) -> str:
        return f"completion {self.pk}"


class CompletionState(models.Model):
    """Where a completion stands: the narrow row that moves, by conditional updates only.

    `is_open` is false once a later attempt has taken its place. `dataset` is the one for which the
    completion is a candidate: none for the answers of students and bases, which are scored, and
    never reviewed for it or exported.
    """

    class State(models.TextChoices):
        NEW = "new", "Answered"
        FILTERED = "filtered", "Passed the rules"
        PASSED = "passed", "Passed the gate"
        REJECTED = "rejected", "Rejected"

    completion = models.OneToOneField(
        Completion, models.CASCADE, primary_key=True, related_name="state_row"
    )
    dataset = models.ForeignKey(Dataset, models.CASCADE, null=True, related_name="+")
    state = models.CharField(max_length=10, choices=State, default=State.NEW)
    is_open = models.BooleanField(default=True)
    verdict = models.ForeignKey("Verdict", models.SET_NULL, null=True, related_name="+")
    reasons = ArrayField(models.CharField(max_length=30, choices=REASONS), default=list)
    flags = ArrayField(
        models.CharField(max_length=30, choices=REASONS),
        default=list,
        help_text="What keeps it out of every export until a person accepts it.",
    )
    mean_score = models.FloatField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["dataset", "completion"],
                condition=~models.Q(flags=[]),
                name="completion_flagged",
            ),
            models.Index(fields=["dataset", "state", "completion"], name="completion_by_state"),
            GinIndex(fields=["reasons"], name="completion_by_reason"),
        ]

    def __str__(self) -> str:
        return f"completion {self.completion_id}: {self.state}"


class Judgement(models.Model):
    """One judge's scores for one completion. Insert-only; `error` says why a reply was invalid."""

    completion = models.ForeignKey(Completion, models.CASCADE, related_name="judgements")
    call = models.ForeignKey(Call, models.PROTECT, null=True, related_name="judgements")
    judge = models.CharField(max_length=40)
    teacher = models.CharField(max_length=200, help_text="The model that judged.")
    rubric_version = models.CharField(max_length=40)
    scores = models.JSONField(default=dict)
    mean_score = models.FloatField(null=True)
    rationale = models.TextField(blank=True)
    flags = ArrayField(models.CharField(max_length=100), default=list)
    error = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["completion", "call", "judge"], name="judgement_once"),
        ]

    def __str__(self) -> str:
        return f"judgement of completion {self.completion_id}"


class Verdict(models.Model):
    """What SampleGate decided of one completion under one recipe, with all reasons. Insert-only."""

    completion = models.ForeignKey(Completion, models.CASCADE, related_name="verdicts")
    recipe = models.ForeignKey(Recipe, models.PROTECT, related_name="+")
    run = models.ForeignKey(Run, models.DO_NOTHING, related_name="+", db_constraint=False)
    passed = models.BooleanField()
    stage = models.CharField(max_length=10, choices=STAGES, blank=True)
    reasons = ArrayField(models.CharField(max_length=30, choices=REASONS), default=list)
    flags = ArrayField(models.CharField(max_length=30, choices=REASONS), default=list)
    evidence = models.JSONField(default=list, help_text="Of reasons and flags.")
    scores = models.JSONField(default=dict, help_text="By judge, then by dimension.")
    gate_version = models.CharField(max_length=12, blank=True)
    mean_score = models.FloatField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["completion", "run"], name="verdict_once_per_run"),
        ]

    def __str__(self) -> str:
        return f"verdict on completion {self.completion_id}"


class SampleDraw(models.Model):
    """One sample × draw of a run and where it ended: the unit that a run counts (invariant 3).

    `completion` is the latest attempt, `verdict` what decided it. What people then said is read
    from the completion's label.
    """

    class State(models.TextChoices):
        PENDING = "pending"
        ANSWERED = "answered"
        FILTERED = "filtered"
        PASSED = "passed"
        REJECTED = "rejected"
        FAILED = "failed"

    run = models.ForeignKey(Run, models.CASCADE, related_name="sample_draws")
    sample = models.ForeignKey(Sample, models.CASCADE, related_name="+")
    draw = models.PositiveSmallIntegerField(default=0)
    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    completion = models.ForeignKey(Completion, models.CASCADE, null=True, related_name="+")
    verdict = models.ForeignKey(Verdict, models.CASCADE, null=True, related_name="+")
    failure_kind = models.CharField(max_length=20, blank=True)
    failure_message = models.TextField(blank=True)
    failure_attempts = models.PositiveSmallIntegerField(
        default=0, help_text="How often the request that failed was sent."
    )

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["run", "sample", "draw"], name="sample_draw_once"),
        ]
        indexes = [models.Index(fields=["run", "state", "id"], name="sample_draw_by_state")]

    def __str__(self) -> str:
        return f"sample {self.sample_id}, draw {self.draw} of run {self.run_id}"
