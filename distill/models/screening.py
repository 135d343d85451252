"""What is left out of an export because it stands in it, or in held-out text, already."""

from __future__ import annotations

from django.db import models

from distill.models.completion import Completion
from distill.models.dataset import Dataset
from distill.models.run import REASONS


class Screening(models.Model):
    """One search of a dataset's eligible completions for copies and contamination. Insert-only."""

    dataset = models.ForeignKey(Dataset, models.CASCADE, related_name="screenings")
    policy = models.CharField(max_length=10)
    settings = models.JSONField(
        help_text="The recipe's `screening`, and what files it was held to."
    )
    counts = models.JSONField(help_text="Completions looked at, dropped and flagged, by reason.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"screening {self.pk} of dataset {self.dataset_id}"


class ScreeningFinding(models.Model):
    """Why a screening dropped (or only flagged) a completion, with the matched text. Insert-only.

    `other` is the completion that was kept in its place; `held_out` names the file or the split
    where its text was found.
    """

    screening = models.ForeignKey(Screening, models.CASCADE, related_name="findings")
    completion = models.ForeignKey(Completion, models.CASCADE, related_name="screening_findings")
    reason = models.CharField(max_length=30, choices=REASONS)
    is_dropped = models.BooleanField()
    other = models.ForeignKey(Completion, models.CASCADE, null=True, related_name="+")
    held_out = models.CharField(max_length=200, blank=True)
    similarity = models.FloatField(
        null=True, help_text="Exact Jaccard of the copies' 5-grams of words, 0 to 1."
    )
    matched_text = models.TextField(blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["screening", "completion", "reason"], name="screening_finding_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reason} of completion {self.completion_id}"
