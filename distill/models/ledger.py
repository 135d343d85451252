"""The ledger: what was asked, sent and answered. Three insert-only tables; states are derived.

A purchase without a reply is in flight until `expires_at`, afterwards "possibly billed".
"""

from __future__ import annotations

from django.db import models

from distill.models.run import Run


class Call(models.Model):
    """One distinct request to a model, by its key."""

    key = models.BinaryField(max_length=32, unique=True)
    teacher = models.CharField(max_length=200)
    draw = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"call {bytes(self.key).hex()[:12]}"


class Purchase(models.Model):
    """One sending of a call, committed before the request leaves.

    `bound_nano` is the upper bound of its cost in 1e-9 USD, None where the price is unknown.
    """

    class Stage(models.TextChoices):
        GENERATE = "generate", "First attempts"
        REGENERATE = "regenerate", "Further attempts"
        JUDGE = "judge", "Judges"

    call = models.ForeignKey(Call, models.CASCADE, related_name="purchases")
    number = models.PositiveSmallIntegerField()
    shift_id = models.BigIntegerField(null=True, help_text="The worker process that sent it.")
    stage = models.CharField(max_length=12, blank=True, choices=Stage)
    template_name = models.CharField(max_length=100, blank=True)
    run = models.ForeignKey(
        Run, models.DO_NOTHING, null=True, related_name="purchases", db_constraint=False
    )
    bound_nano = models.BigIntegerField(null=True)
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["call", "number"], name="purchase_once"),
        ]

    def __str__(self) -> str:
        return f"purchase {self.number} of call {self.call_id}"


class Reply(models.Model):
    """What came back for a purchase, as it arrived, committed before it is parsed.

    `outcome` is "accepted", "surplus" (another purchase's reply had been accepted already),
    "unsent" (it was bought ahead and never left), "settled" (none came; a person looked up what was
    billed) or a `logic.errors.FailureKind`.
    """

    ACCEPTED = "accepted"
    SURPLUS = "surplus"
    UNSENT = "unsent"
    SETTLED = "settled"

    purchase = models.OneToOneField(Purchase, models.CASCADE, related_name="reply")
    call = models.ForeignKey(Call, models.CASCADE, related_name="replies")
    outcome = models.CharField(max_length=20)
    status = models.PositiveSmallIntegerField(null=True)
    message = models.TextField(blank=True)
    raw = models.BinaryField()
    prompt_tokens = models.PositiveIntegerField(null=True)
    cached_tokens = models.PositiveIntegerField(
        null=True, help_text="Of the prompt's tokens, those read from the provider's cache."
    )
    completion_tokens = models.PositiveIntegerField(null=True)
    cost_nano = models.BigIntegerField(null=True)
    latency_ms = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "replies"
        constraints = [
            models.UniqueConstraint(
                fields=["call"],
                condition=models.Q(outcome="accepted"),
                name="reply_accepted_once",
            ),
        ]
        # What became of many purchases is read from here, without what came back.
        indexes = [
            models.Index(fields=["purchase"], include=["outcome"], name="reply_narrow"),
        ]

    def __str__(self) -> str:
        return f"reply to purchase {self.purchase_id}"
