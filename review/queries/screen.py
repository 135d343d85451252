"""What the review screen shows one person at one moment."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from django.contrib.auth.models import User

from distill.models import Decision
from review.logic.leases import clock, seconds_left
from review.logic.panes import Pane, panes
from review.models import Queue, Slot
from review.queries.counts import SlotCounts, my_decisions_since, next_free_at, slot_counts
from review.queries.guidelines import Guidelines, guidelines_of
from review.queries.history import last_decisions
from review.queries.lineage import EarlierAttempt, earlier_attempts
from review.queries.proof import prove_card
from review.queries.slots import card_slot, claimable_slots

EmptyKind = Literal["nothing_fits", "ready", "left_to_others", "all_leased", "all_done", "closed"]


@dataclass(frozen=True, slots=True)
class Card:
    """One completion to decide. `decision_key` makes a repeated sending harmless."""

    slot: Slot
    panes: list[Pane]
    seconds_left: int
    is_stand_in: bool
    earlier: list[EarlierAttempt]
    decision_key: uuid.UUID = field(default_factory=uuid.uuid4)

    @property
    def clock(self) -> str:
        return clock(self.seconds_left)

    @property
    def is_over(self) -> bool:
        """The lease has run out, and nobody else has been given the card so far."""
        return self.seconds_left == 0

    @property
    def proof(self) -> str:
        return prove_card(self.slot)


@dataclass(frozen=True, slots=True)
class Emptiness:
    """Why there is no card, and when the next may be free."""

    kind: EmptyKind
    seconds_to_next: int = 0

    @property
    def clock(self) -> str:
        return clock(self.seconds_to_next)


@dataclass(frozen=True, slots=True)
class Screen:
    """A card or a reason for its absence, how far the queue is, and one's last decisions.

    Where the guidelines are still to be read, they are what is on screen.
    """

    queue: Queue
    guidelines: Guidelines
    card: Card | None
    emptiness: Emptiness | None
    counts: SlotCounts
    num_today: int
    history: list[Decision]
    undo_key: uuid.UUID = field(default_factory=uuid.uuid4)


def review_screen(*, queue: Queue, reviewer: User, now: datetime, midnight: datetime) -> Screen:
    """Read all that the screen shows; changes nothing and claims nothing."""
    guidelines = guidelines_of(queue, reader=reviewer)
    counts = slot_counts([queue.pk])[queue.pk]
    slot = card_slot(queue_id=queue.pk, reviewer=reviewer) if guidelines.is_read else None
    return Screen(
        queue=queue,
        guidelines=guidelines,
        card=_card(slot, now) if slot else None,
        emptiness=None
        if slot or not guidelines.is_read
        else _emptiness(queue, reviewer, counts, now),
        counts=counts,
        num_today=my_decisions_since(since=midnight, reviewer=reviewer),
        history=last_decisions(queue_id=queue.pk, reviewer=reviewer),
    )


def _card(slot: Slot, now: datetime) -> Card:
    completion = slot.completion
    return Card(
        slot=slot,
        panes=panes(completion.fields, text=completion.text),
        seconds_left=seconds_left(until=slot.lease_until, now=now),
        is_stand_in=completion.teacher.startswith("offline:"),
        earlier=earlier_attempts(completion),
    )


def _emptiness(queue: Queue, reviewer: User, counts: SlotCounts, now: datetime) -> Emptiness:
    if queue.is_closed:
        return Emptiness("closed")
    # Not `exists()`: that drops the order, and with it the index that finds the first at once.
    if claimable_slots(queue_id=queue.pk, reviewer=reviewer).values_list("id").first():
        return Emptiness("ready")
    if counts.claimed:
        wait = seconds_left(until=next_free_at(queue_id=queue.pk), now=now)
        return Emptiness("all_leased", wait) if wait else Emptiness("ready")
    if counts.open:
        return Emptiness("left_to_others")
    return Emptiness("all_done" if counts.done else "nothing_fits")
