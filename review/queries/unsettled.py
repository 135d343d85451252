"""What waits for a lead in a queue: completions that people disagree on, or have flagged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef

from distill.models import Completion, Decision, Label
from review.logic.panes import Pane, panes
from review.models import Adjudication, Queue, Slot
from review.queries.disagreements import disagreed_ids

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Unsettled:
    """One completion, its texts, and what people said of it, without their names."""

    completion: Completion
    panes: list[Pane]
    opinions: Sequence[Decision]


def unsettled_ids(*, queue_id: int) -> list[int]:
    """The completions that wait, by id: disagreed on with all reviews, or flagged by somebody."""
    return sorted({*disagreed_ids(queue_id=queue_id), *_flagged_ids(queue_id)})


def is_unsettled(*, queue_id: int, completion_id: int) -> bool:
    """Whether this completion waits for a lead in the queue."""
    return completion_id in unsettled_ids(queue_id=queue_id)


def next_unsettled(ids: Sequence[int], *, reader: User) -> Unsettled | None:
    """The first of them that the lead has not reviewed; None where there is none for this person."""
    own = Decision.objects.filter(completion=OuterRef("pk"), reviewer=reader).exclude(
        kind=Decision.Kind.UNDO
    )
    waiting = Completion.objects.filter(~Exists(own.filter(is_adjudication=False)), pk__in=ids)
    completion = waiting.select_related("sample", "state_row").order_by("pk").first()
    if completion is None:
        return None
    return Unsettled(
        completion, panes(completion.fields, text=completion.text), _opinions(completion)
    )


def last_settled(queue: Queue) -> list[Adjudication]:
    """The newest adjudications of the queue that stand."""
    found = Adjudication.objects.filter(queue=queue, decision__undone_by=None)
    related = found.select_related("decision__completion__sample", "decision__reviewer")
    return list(related.order_by("-decision")[:_SHOWN])


def _opinions(completion: Completion) -> list[Decision]:
    # Not by time: the first to speak must not be known by that.
    standing = Decision.objects.filter(completion=completion, undone_by=None, is_legacy=False)
    said = standing.exclude(kind__in=(Decision.Kind.UNDO, Decision.Kind.SKIP))
    return list(said.order_by("client_id"))


def _flagged_ids(queue_id: int) -> list[int]:
    undone = Decision.objects.filter(undoes=OuterRef("pk"))
    flags = Decision.objects.filter(
        ~Exists(undone), completion=OuterRef("completion"), kind=Decision.Kind.FLAG
    )
    labels = Label.objects.filter(completion=OuterRef("completion"))
    slots = Slot.objects.filter(Exists(flags), ~Exists(labels), queue=queue_id, state="done")
    return list(slots.order_by("completion").values_list("completion", flat=True).distinct())
