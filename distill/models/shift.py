"""Worker processes on a run: who works on it, on which part, and what each measured."""

from __future__ import annotations

from django.db import models

from distill.models.run import Run


class Shift(models.Model):
    """One worker process on a run, from its start to its end. Its id fences what it writes.

    Until `ended_at` it must beat; a shift that has not been heard of for the lease's time is ended
    by whoever finds it, its chunks are free again, and what it had in flight is possibly billed.
    """

    run = models.ForeignKey(Run, models.CASCADE, related_name="shifts")
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    started_at = models.DateTimeField(auto_now_add=True)
    heartbeat_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    pulse = models.JSONField(default=dict, help_text="The last second, as logic.reading writes it.")

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["run"], condition=models.Q(ended_at=None), name="shift_at_work"),
            models.Index(fields=["heartbeat_at"], name="shift_by_beat"),
        ]

    def __str__(self) -> str:
        return f"shift {self.pk} on run {self.run_id}"


class Chunk(models.Model):
    """A range of a run's sample × draws, leased as a whole: the unit in which workers share a run.

    Open until every sample × draw in it has come to rest; `shift` is who works on it now.
    """

    run = models.ForeignKey(Run, models.CASCADE, related_name="chunks")
    first_id = models.BigIntegerField(help_text="The first sample draw.")
    last_id = models.BigIntegerField(help_text="The last one, included.")
    shift = models.ForeignKey(Shift, models.SET_NULL, null=True, blank=True, related_name="chunks")
    is_done = models.BooleanField(default=False)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["run", "first_id"], name="chunk_once"),
        ]
        indexes = [
            models.Index(
                fields=["run", "id"], condition=models.Q(is_done=False), name="chunk_open"
            ),
        ]

    def __str__(self) -> str:
        return f"chunk {self.pk} of run {self.run_id}"


class RunReading(models.Model):
    """What a worker measured over some seconds: the points of a run's plots. Insert-only."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="readings")
    shift = models.ForeignKey(Shift, models.CASCADE, related_name="readings")
    at = models.DateTimeField(help_text="When it ended.")
    reading = models.JSONField(help_text="As logic.reading writes it.")

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["run", "at"], name="reading_by_time")]

    def __str__(self) -> str:
        return f"reading of run {self.run_id} at {self.at:%H:%M:%S}"
