"""What the review screen shows one person at one moment."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from django.contrib.auth.models import User

from distill.logic.types import Evidence
from distill.models import Decision, Judgement
from review.logic.leases import clock, seconds_left
from review.logic.panes import Pane, panes
from review.logic.priority import label_of
from review.models import Queue, Slot
from review.queries.counts import SlotCounts, my_decisions_since, next_free_at, slot_counts
from review.queries.drafts import EditForm, edit_forms
from review.queries.guidelines import Guidelines, guidelines_of
from review.queries.history import last_decisions
from review.queries.judged import judgements_of
from review.queries.lineage import EarlierAttempt, earlier_attempts
from review.queries.marked_texts import MarkedTexts, marked_texts
from review.queries.proof import prove_card
from review.queries.slots import claimable_slots, hand

EmptyKind = Literal["nothing_fits", "ready", "left_to_others", "all_leased", "all_done", "closed"]


@dataclass(frozen=True, slots=True)
class Card:
    """One completion to decide. `decision_key` makes a repeated sending harmless.

    `flags` are those that rules raised; `judgements` only where the judge may be seen. Of a
    comparison `is_swapped` says that the completion stands on the right, its rival on the left.
    """

    slot: Slot
    panes: list[Pane]
    rival_panes: list[Pane]
    seconds_left: int
    is_stand_in: bool
    earlier: list[EarlierAttempt]
    flags: list[Evidence]
    judgements: Sequence[Judgement]
    is_swapped: bool
    texts: MarkedTexts
    edit: EditForm
    decision_key: uuid.UUID = field(default_factory=uuid.uuid4)

    @property
    def clock(self) -> str:
        return clock(self.seconds_left)

    @property
    def why(self) -> str:
        """Why it comes early, in words; nothing where it comes in its turn."""
        return label_of(self.slot.why)

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
    """Cards or a reason for their absence, how far the queue is, and one's last decisions.

    `until`: when the last of the leases ends, exactly, for the page to name it again.

    Where the guidelines are still to be read, they are what is on screen.
    """

    queue: Queue
    guidelines: Guidelines
    cards: list[Card]
    emptiness: Emptiness | None
    until: datetime | None
    counts: SlotCounts
    num_today: int
    history: list[Decision]
    undo_key: uuid.UUID = field(default_factory=uuid.uuid4)

    @property
    def card(self) -> Card | None:
        """The card on screen; the others of `cards` wait behind it."""
        return self.cards[0] if self.cards else None


def review_screen(
    *,
    queue: Queue,
    reviewer: User,
    now: datetime,
    midnight: datetime,
    have: Collection[int] = (),
) -> Screen:
    """Read all that the screen shows but for the cards that it has; claims and changes nothing."""
    guidelines = guidelines_of(queue, reader=reviewer)
    counts = slot_counts([queue.pk])[queue.pk]
    is_read = guidelines.is_read
    slots = hand(queue_id=queue.pk, reviewer=reviewer, have=have) if is_read else []
    lacking = [slot for slot in slots if slot.pk not in have]
    return Screen(
        queue=queue,
        guidelines=guidelines,
        cards=read_cards(lacking, reviewer=reviewer, now=now),
        until=max((slot.lease_until for slot in slots if slot.lease_until), default=None),
        emptiness=None if slots or not is_read else _emptiness(queue, reviewer, counts, now),
        counts=counts,
        num_today=my_decisions_since(since=midnight, reviewer=reviewer),
        history=last_decisions(queue_id=queue.pk, reviewer=reviewer),
    )


def read_cards(slots: Sequence[Slot], *, reviewer: User, now: datetime) -> list[Card]:
    """The slots, with their relations, as cards."""
    completions = [slot.completion for slot in slots]
    judgements = judgements_of([slot.completion_id for slot in slots if slot.judge_seen])
    texts = marked_texts(completions)
    edits = edit_forms(completions, reviewer=reviewer)
    return [
        Card(
            slot=slot,
            panes=panes(slot.completion.fields, text=slot.completion.text),
            rival_panes=panes(slot.rival.fields, text=slot.rival.text) if slot.rival else [],
            seconds_left=seconds_left(until=slot.lease_until, now=now),
            is_stand_in=slot.completion.teacher.startswith("offline:"),
            earlier=earlier_attempts(slot.completion),
            # What judge or gate say stays hidden: the card is decided blind.
            flags=[one for one in texts[slot.completion_id].findings if one.reason.is_flag],
            judgements=judgements.get(slot.completion_id, ()),
            is_swapped=is_swapped(slot),
            texts=texts[slot.completion_id],
            edit=edits[slot.completion_id],
        )
        for slot in slots
    ]


def is_swapped(slot: Slot) -> bool:
    """Whether a comparison's completion stands on the right: by chance, and the same each time."""
    if slot.rival_id is None:
        return False
    return hashlib.sha256(f"{slot.pk} {slot.reviewer_id}".encode()).digest()[0] % 2 == 1


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
