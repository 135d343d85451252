"""What may still be bought in a turn: the pool's room, less what was sold of it."""

from __future__ import annotations

from collections import Counter
from typing import Generic, TypeVar

from distill.engine.pool import Room, Sending

Tag = TypeVar("Tag")


class Offer(Generic[Tag]):
    """The room of one turn. `sendings` is what it was sold to: paid for, come what may."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._sold: Counter[str] = Counter()
        self.sendings: list[Sending[Tag]] = []

    @property
    def left(self) -> int:
        """How many requests may still be bought in all."""
        return max(0, self._room.total - len(self.sendings))

    def left_for(self, teacher: str) -> int:
        """How many of one teacher's."""
        return max(0, min(self.left, self._room.of(teacher) - self._sold[teacher]))

    def sell(self, sending: Sending[Tag]) -> None:
        self._sold[sending.request.teacher] += 1
        self.sendings.append(sending)
