"""Student trainings, what they measured, and how well the student answers."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from distill.models import Dataset, Export, Recipe, Run


class TrainingRun(models.Model):
    """One student training: a frozen spec, a process on some host, and what became of it.

        queued ─► preparing ─► running ─► done | failed | stopped | lost
                                  └─► stopping ─► stopped      stopped, failed, lost ─► queued (resume)

    `folder` is the run's own, below the data folder; its files are named by `logic.layout`.
    `source` says what it trains on (an export, or a file given to the command) with its hash.
    """

    class State(models.TextChoices):
        QUEUED = "queued"
        PREPARING = "preparing"
        RUNNING = "running"
        STOPPING = "stopping"
        STOPPED = "stopped"
        DONE = "done"
        FAILED = "failed"
        LOST = "lost"

    ACTIVE = (State.QUEUED, State.PREPARING, State.RUNNING, State.STOPPING)

    name = models.CharField(max_length=100)
    dataset = models.ForeignKey(
        Dataset, models.SET_NULL, null=True, blank=True, related_name="training_runs"
    )
    export = models.ForeignKey(
        Export, models.SET_NULL, null=True, blank=True, related_name="training_runs"
    )
    source = models.JSONField(help_text="Name and sha256 of what it trains on; rows by split.")
    spec = models.JSONField()
    tags = ArrayField(models.CharField(max_length=50), default=list, blank=True)
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    message = models.TextField(blank=True, help_text="Why it stopped or failed, and what to do.")
    folder = models.CharField(max_length=300, blank=True, help_text="Below the data folder.")
    host = models.CharField(max_length=255, blank=True, help_text="Where its process runs.")
    step = models.PositiveIntegerField(default=0, help_text="Optimiser steps done.")
    max_steps = models.PositiveIntegerField(null=True, blank=True)
    metrics_offset = models.BigIntegerField(default=0, help_text="Bytes of its metrics read.")
    result = models.JSONField(default=dict, help_text="Final metrics, sizes, versions, hashes.")
    lease_token = models.UUIDField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"training run {self.pk}"

    @property
    def is_active(self) -> bool:
        return self.state in self.ACTIVE


class Metric(models.Model):
    """What a training run measured at one step. A step that is done again replaces its metric."""

    class Kind(models.TextChoices):
        TRAIN = "train"
        VALIDATION = "validation"

    training_run = models.ForeignKey(TrainingRun, models.CASCADE, related_name="metrics")
    kind = models.CharField(max_length=10, choices=Kind)
    step = models.PositiveIntegerField()
    values = models.JSONField(help_text="loss, learning_rate, grad_norm, tokens, …")
    at = models.DateTimeField()

    class Meta:
        ordering = ["training_run", "kind", "step"]
        constraints = [
            models.UniqueConstraint(fields=["training_run", "kind", "step"], name="metric_once"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} metrics of training run {self.training_run_id}, step {self.step}"


class Evaluation(models.Model):
    """A student, and its base, scored on the held-out split: losses, answers, pass rates.

        queued ─► answering ─► scoring ─► done | failed | stopped

    Answering runs in a process beside the GPU; scoring is a run of kind "evaluate" for each
    contender, with the recipe's rules, judges and gate.
    """

    class State(models.TextChoices):
        QUEUED = "queued"
        ANSWERING = "answering"
        SCORING = "scoring"
        DONE = "done"
        FAILED = "failed"
        STOPPED = "stopped"

    ACTIVE = (State.QUEUED, State.ANSWERING, State.SCORING)

    training_run = models.ForeignKey(TrainingRun, models.CASCADE, related_name="evaluations")
    recipe = models.ForeignKey(Recipe, models.PROTECT, related_name="+")
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    message = models.TextField(blank=True)
    sample_limit = models.PositiveIntegerField(help_text="At most so many held-out samples.")
    folder = models.CharField(max_length=300, blank=True, help_text="Below the data folder.")
    host = models.CharField(max_length=255, blank=True)
    num_answered = models.PositiveIntegerField(default=0)
    num_wanted = models.PositiveIntegerField(default=0)
    report = models.JSONField(default=dict, help_text="The report card, once it is done.")
    lease_token = models.UUIDField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"evaluation {self.pk}"

    @property
    def is_active(self) -> bool:
        return self.state in self.ACTIVE


class Contender(models.Model):
    """One model of an evaluation: the student, its base, or the teacher for comparison.

    `name` is the teacher of its completions (`student:12`, `base:12`); `run` scored them. Loss is
    the mean over `loss_tokens` answer tokens of the held-out rows, in nats.
    """

    class Role(models.TextChoices):
        STUDENT = "student"
        BASE = "base"
        TEACHER = "teacher"

    evaluation = models.ForeignKey(Evaluation, models.CASCADE, related_name="contenders")
    role = models.CharField(max_length=10, choices=Role)
    name = models.CharField(max_length=200)
    run = models.ForeignKey(Run, models.SET_NULL, null=True, blank=True, related_name="+")
    loss = models.FloatField(null=True, blank=True)
    loss_tokens = models.PositiveIntegerField(default=0)
    loss_rows = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["evaluation", "role"], name="contender_once"),
        ]

    def __str__(self) -> str:
        return f"{self.role} of evaluation {self.evaluation_id}"
