"""Recipes and their executions."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from distill.logic import recipe as recipe_logic
from distill.logic.reasons import Reason
from distill.models.dataset import Dataset

REASONS = [(reason.value, reason.label) for reason in Reason]


class Recipe(models.Model):
    """One immutable version of a recipe; `document` is a validated `logic.recipe.Recipe`."""

    name = models.SlugField(max_length=100, allow_unicode=True)
    version = models.PositiveIntegerField()
    document = models.JSONField()
    sha256 = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.DO_NOTHING,
        null=True,
        blank=True,
        related_name="+",
        db_constraint=False,
    )

    class Meta:
        ordering = ["name", "-version"]
        constraints = [
            models.UniqueConstraint(fields=["name", "version"], name="recipe_version_once"),
            models.UniqueConstraint(fields=["name", "sha256"], name="recipe_content_once"),
        ]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"

    @property
    def content(self) -> recipe_logic.Recipe:
        return recipe_logic.Recipe.model_validate(self.document)


class Run(models.Model):
    """One execution over a dataset with a frozen recipe."""

    class Kind(models.TextChoices):
        PIPELINE = "pipeline", "Whole pipeline"
        GENERATE = "generate", "Generate"
        FILTER = "filter", "Rules"
        JUDGE = "judge", "Judge"
        GATE = "gate", "Gate"
        REEVALUATE = "reevaluate", "Re-evaluate"
        REGENERATE = "regenerate", "Regenerate"
        EVALUATE = "evaluate", "Score a student"

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        STOPPING = "stopping"
        STOPPED = "stopped"
        DONE = "done"
        FAILED = "failed"

    class RejectedBy(models.TextChoices):
        ANYBODY = "anybody", "The gate or people"
        GATE = "gate", "The gate"
        PEOPLE = "people", "People"

    ACTIVE = (State.QUEUED, State.RUNNING, State.STOPPING)

    dataset = models.ForeignKey(Dataset, models.CASCADE, related_name="runs")
    recipe = models.ForeignKey(Recipe, models.PROTECT, related_name="runs")
    kind = models.CharField(max_length=12, choices=Kind)
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    message = models.TextField(blank=True, help_text="Why it stopped or failed.")
    sample_limit = models.PositiveIntegerField(
        null=True, blank=True, help_text="At most so many samples; empty means all."
    )
    rejected_by = models.CharField(
        max_length=10,
        choices=RejectedBy,
        default=RejectedBy.ANYBODY,
        help_text="Whose rejections a regeneration takes up.",
    )
    reasons = ArrayField(
        models.CharField(max_length=30, choices=REASONS),
        default=list,
        blank=True,
        help_text="A regeneration takes up what was rejected for one of these; empty means any.",
    )
    budget_nano = models.BigIntegerField(
        null=True, blank=True, help_text="Upper limit of spending in 1e-9 USD; empty means none."
    )
    spent_nano = models.BigIntegerField(default=0)
    reserved_nano = models.BigIntegerField(default=0)
    is_populated = models.BooleanField(default=False)
    price_list = models.ForeignKey(
        "PriceList",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="The prices that this run reckons with.",
    )
    known_count = models.PositiveBigIntegerField(
        default=0, help_text="Calls answered by what other runs had bought."
    )
    saved_nano = models.BigIntegerField(
        default=0, help_text="What those had cost, in 1e-9 USD: not spent again."
    )
    workers = models.PositiveSmallIntegerField(
        default=1, help_text="So many worker processes share the run."
    )
    ending = models.CharField(
        max_length=10,
        blank=True,
        choices=State,
        help_text="The state in which a stopping run will be left.",
    )
    populated_to = models.BigIntegerField(
        default=0, help_text="Up to this sample or completion its sample draws are written down."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"run {self.pk}"

    @property
    def is_active(self) -> bool:
        return self.state in self.ACTIVE


class RunEvent(models.Model):
    """One line of a run's log. Insert-only."""

    class Level(models.TextChoices):
        INFO = "info"
        WARNING = "warning"
        ERROR = "error"

    run = models.ForeignKey(Run, models.CASCADE, related_name="events")
    at = models.DateTimeField(auto_now_add=True)
    level = models.CharField(max_length=10, choices=Level, default=Level.INFO)
    message = models.TextField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.message
