"""What belongs to the site itself: the tokens that people make for the API."""

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
