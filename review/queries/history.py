"""What a person has decided in a queue."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Left

from distill.models import Decision
from review.models import Slot

KINDS = tuple(kind for kind in Decision.Kind if kind != Decision.Kind.UNDO)


def my_decisions(*, queue_id: int, reviewer: User) -> QuerySet[Decision]:
    """The person's decisions in this queue, the newest first, those taken back among them.

    A decision is of the queue whose slot it took. A skip or a further opinion took none: it is of
    each queue that its completion stands in.
    """
    slots = Slot.objects.filter(completion=OuterRef("completion"))
    in_queue = slots.filter(queue=queue_id)
    elsewhere = slots.filter(decision=OuterRef("pk")).exclude(queue=queue_id)
    decisions = Decision.objects.filter(Exists(in_queue), ~Exists(elsewhere))
    return decisions.filter(reviewer=reviewer, kind__in=KINDS).order_by("-id")


def standing_decisions(*, queue_id: int, reviewer: User) -> QuerySet[Decision]:
    """Those that have not been taken back."""
    undone = Decision.objects.filter(undoes=OuterRef("pk"))
    return my_decisions(queue_id=queue_id, reviewer=reviewer).filter(~Exists(undone))


def last_decisions(*, queue_id: int, reviewer: User, count: int = 10) -> list[Decision]:
    """The last ones that stand, with what the card's history shows: title, judges' scores."""
    standing = standing_decisions(queue_id=queue_id, reviewer=reviewer)
    related = standing.select_related("completion__sample", "completion__state_row")
    # The texts are long, and of all that only the title is shown.
    shown = related.only(
        *("kind", "reasons", "created_at", "completion__state_row__mean_score"),
        *("completion__sample__title", "completion__sample__source_key"),
    )
    return list(shown.annotate(beginning=Left("completion__sample__text", 200))[:count])


def decision_before(*, queue_id: int, reviewer: User, back: int) -> Decision | None:
    """The person's decision that stands `back` before the card on screen (1: the last one)."""
    standing = standing_decisions(queue_id=queue_id, reviewer=reviewer)
    related = standing.select_related("completion__sample", "completion__state_row")
    return next(iter(related[back - 1 : back]), None)
