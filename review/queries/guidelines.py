"""Which guidelines a queue has, and whether a person has read them."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db.models import Exists, Max, OuterRef

from review.logic.guidelines import Paragraph, paragraphs, shipped_guidelines
from review.models import GuidelineReading, Queue


@dataclass(frozen=True, slots=True)
class MayClaim:
    """What stands between a person and a queue's cards."""

    is_closed: bool
    has_read: bool
    random_share: int
    mode: str

    @property
    def is_assisted(self) -> bool:
        return self.mode == Queue.Mode.ASSISTED


@dataclass(frozen=True, slots=True)
class Guidelines:
    """A queue's guidelines as one person finds them; `read_version` is 0 for who has read none."""

    paragraphs: list[Paragraph]
    version: int
    read_version: int

    @property
    def is_read(self) -> bool:
        return self.read_version == self.version

    @property
    def has_changed(self) -> bool:
        """The person has read an earlier version."""
        return 0 < self.read_version < self.version


def may_claim(*, queue_id: int, reviewer: User) -> MayClaim:
    """Look at the queue as it is now, in one question. Raises Queue.DoesNotExist."""
    reading = GuidelineReading.objects.filter(
        queue=OuterRef("pk"), reviewer=reviewer, version=OuterRef("guidelines_version")
    )
    queues = Queue.objects.annotate(has_read=Exists(reading))
    columns = ("is_closed", "has_read", "random_share", "mode")
    return MayClaim(*queues.values_list(*columns).get(pk=queue_id))


def guidelines_of(queue: Queue, *, reader: User) -> Guidelines:
    """The text, the queue's own or the shipped one, and what this person has read of it."""
    readings = GuidelineReading.objects.filter(queue=queue, reviewer=reader)
    newest = readings.aggregate(newest=Max("version"))["newest"]
    return Guidelines(
        paragraphs=paragraphs(queue.guidelines or shipped_guidelines()),
        version=queue.guidelines_version,
        read_version=newest or 0,
    )
