"""Frozen datasets on disk."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from distill.models.completion import Completion
from distill.models.dataset import Dataset


class Export(models.Model):
    """One frozen, hashed version of a dataset on disk. Immutable."""

    class Policy(models.TextChoices):
        GATE = "gate", "Passed the gate"
        REVIEWED = "reviewed", "Accepted by people"
        GOLD = "gold", "Agreed or adjudicated by people"

    dataset = models.ForeignKey(Dataset, models.CASCADE, related_name="exports")
    version = models.PositiveIntegerField()
    policy = models.CharField(max_length=10, choices=Policy)
    content_sha256 = models.CharField(max_length=64, help_text="Of the rows, in order.")
    folder = models.CharField(max_length=300, help_text="Below the data folder.")
    manifest = models.JSONField()
    screening = models.ForeignKey(
        "Screening", models.CASCADE, null=True, blank=True, related_name="exports"
    )
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
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["dataset", "version"], name="export_version_once"),
            models.UniqueConstraint(
                fields=["dataset", "policy", "content_sha256"], name="export_content_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.dataset.name} v{self.version}"


class ExportedCompletion(models.Model):
    """Which completions an export holds."""

    export = models.ForeignKey(Export, models.CASCADE, related_name="exported_completions")
    completion = models.ForeignKey(Completion, models.CASCADE, related_name="exported_in")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["export", "completion"], name="exported_once"),
        ]

    def __str__(self) -> str:
        return f"completion {self.completion_id} in export {self.export_id}"
