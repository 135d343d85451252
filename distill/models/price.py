"""What models cost: a versioned table, of which a run keeps the version that it reckons with."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class PriceList(models.Model):
    """One version of the price table; `document` is a validated `logic.price_table.PriceTable`.

    Insert-only: editing makes a new version, and the newest one goes with new runs.
    """

    document = models.JSONField()
    sha256 = models.CharField(max_length=64, unique=True)
    note = models.CharField(max_length=200, blank=True, help_text="Where it comes from.")
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

    def __str__(self) -> str:
        return f"price list {self.pk}"
