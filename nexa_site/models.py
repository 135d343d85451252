"""What belongs to the site itself: the tokens people make for the API, and what browsers stopped."""

from __future__ import annotations

from django.db import models
from knox.models import AbstractAuthToken


class ApiToken(AbstractAuthToken):
    """A token of one person: knox keeps a digest of it, its first characters and its end.

    Named, so that people know which of their programs has which. It has its owner's roles.
    """

    name = models.CharField(max_length=100)
    last_used_at = models.DateTimeField(null=True, blank=True, help_text="To the minute.")

    class Meta:
        verbose_name = "API token"
        ordering = ["-created"]

    def __str__(self) -> str:
        # The parent's would show the digest.
        return f"{self.name} ({self.token_key}…)"


class PolicyViolation(models.Model):
    """How often browsers have reported that the content security policy stopped something.

    Anybody can send reports, of anything: they say where to look, and prove nothing.
    """

    directive = models.CharField(max_length=40)
    blocked = models.CharField(
        max_length=101, help_text="A host, 'inline' and the like, or a scheme."
    )
    page = models.CharField(
        max_length=200, help_text="The pattern of its address; empty: not ours."
    )
    times = models.PositiveBigIntegerField()
    last_path = models.CharField(max_length=200)
    last_source = models.CharField(max_length=200)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        verbose_name = "violation of the content policy"
        verbose_name_plural = "violations of the content policy"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["directive", "blocked", "page"], name="policy_violation_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.directive}: {self.blocked} on {self.page}"
