"""Datasets and what was imported into them."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class Dataset(models.Model):
    """A named set of samples."""

    name = models.SlugField(max_length=100, unique=True, allow_unicode=True)
    description = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name


class SourceFile(models.Model):
    """One file of one import: what it was, and how many of its rows were kept, refused or known."""

    class State(models.TextChoices):
        IMPORTING = "importing"
        DONE = "done"
        FAILED = "failed"

    dataset = models.ForeignKey(Dataset, models.CASCADE, related_name="source_files")
    name = models.CharField(max_length=255, help_text="The file's name as given, only shown.")
    sha256 = models.CharField(max_length=64)
    size_bytes = models.BigIntegerField()
    mapping = models.JSONField(help_text="Which column became which field.")
    state = models.CharField(max_length=10, choices=State, default=State.IMPORTING)
    message = models.TextField(blank=True)
    rows_read = models.BigIntegerField(default=0)
    rows_kept = models.BigIntegerField(default=0)
    rows_refused = models.BigIntegerField(default=0)
    rows_duplicate = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    beat_at = models.DateTimeField(
        null=True, blank=True, help_text="When its import last gave a sign of life."
    )
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name


class RefusedRow(models.Model):
    """A row that was not imported, and why; the first thousand of a file are kept."""

    source_file = models.ForeignKey(SourceFile, models.CASCADE, related_name="refused_rows")
    line = models.BigIntegerField(help_text="Row number in the file, from 1.")
    field = models.CharField(max_length=100, blank=True)
    message = models.TextField()
    excerpt = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"


class Sample(models.Model):
    """One input for the teacher. Immutable; `key` is a hash of its content, the same everywhere."""

    class Split(models.TextChoices):
        TRAIN = "train"
        VALIDATION = "validation"
        TEST = "test"

    dataset = models.ForeignKey(Dataset, models.CASCADE, related_name="samples")
    source_file = models.ForeignKey(SourceFile, models.CASCADE, related_name="samples")
    line = models.BigIntegerField(help_text="Row number in the file, from 1.")
    key = models.CharField(max_length=32)
    source_key = models.CharField(max_length=200, help_text="The document that the text is from.")
    group_key = models.CharField(max_length=64, help_text="Sources of one group share a split.")
    split = models.CharField(max_length=10, choices=Split)
    domain = models.CharField(max_length=100, blank=True)
    template_name = models.CharField(max_length=100, blank=True)
    title = models.TextField(blank=True)
    instruction = models.TextField(blank=True)
    text = models.TextField()
    metadata = models.JSONField(default=dict)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["dataset", "key"], name="sample_once_per_dataset"),
        ]
        indexes = [models.Index(fields=["dataset", "id"], name="sample_by_dataset")]

    def __str__(self) -> str:
        return f"sample {self.key[:8]}"
