"""What a worker has in hand: the chunks that it holds, what it has fed from them, what is at rest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from distill.models import Chunk, Shift
from distill.services.chunks import claim_chunk, finish_chunk, give_back_rest
from distill.services.feed import fetch_pending
from distill.services.orders import Job, Order, Work


@dataclass(slots=True)
class _Held:
    """A chunk: up to which sample draw it is fed, and how many of those are not at rest."""

    chunk: Chunk
    cursor: int
    num_open: int = 0
    is_fed: bool = False


@dataclass(slots=True)
class _Draw:
    held: _Held
    num_orders: int = 0


class Hand:
    """Feeds a worker from its chunks, and closes a chunk once all in it has come to rest.

    A sample × draw is at rest when none of its orders is open any more: that is counted here, so
    nobody has to look for it in the database.
    """

    def __init__(self, shift: Shift, job: Job) -> None:
        self._shift, self._job = shift, job
        self._current: _Held | None = None
        self._draws: dict[int, _Draw] = {}
        self.is_exhausted = False
        self._num_finished = 0

    def take_finished(self) -> int:
        """How many have come to rest since the last call."""
        count, self._num_finished = self._num_finished, 0
        return count

    def look_again(self) -> None:
        """There may be free chunks again: more was written down, or a worker has let some go."""
        self.is_exhausted = False

    def feed(self, limit: int) -> list[Work]:
        """Return the next pending sample × draws; nothing where no chunk is free."""
        works: list[Work] = []
        while len(works) < limit and not self.is_exhausted:
            held = self._current or self._claim()
            if held is not None:
                works += self._feed_from(held, limit - len(works))
        return works

    def _feed_from(self, held: _Held, limit: int) -> list[Work]:
        works = fetch_pending(
            self._job, after_id=held.cursor, last_id=held.chunk.last_id, limit=limit
        )
        for work in works:
            self._draws[work.row_id] = _Draw(held)
        held.num_open += len(works)
        if len(works) < limit:
            held.is_fed, self._current = True, None
            _close(held)
        else:
            held.cursor = works[-1].row_id
        return works

    def move(
        self, *, begun: Iterable[int] = (), ended: Iterable[Order] = (), orders: Iterable[Order]
    ) -> None:
        """Count what happened: these sample × draws were begun, these orders ended, those follow."""
        for order in orders:
            self._draws[order.work.row_id].num_orders += 1
        touched = set(begun)
        for order in ended:
            self._draws[order.work.row_id].num_orders -= 1
            touched.add(order.work.row_id)
        for draw_id in touched:
            if not self._draws[draw_id].num_orders:
                held = self._draws.pop(draw_id).held
                held.num_open -= 1
                self._num_finished += 1
                _close(held)

    def give_back(self) -> None:
        """Let others have what is not fed yet; what is in hand stays until it is at rest."""
        if self._current is not None:
            self._current.is_fed = True
            give_back_rest(chunk=self._current.chunk, after_id=self._current.cursor)
            self._current = None

    def _claim(self) -> _Held | None:
        chunk = claim_chunk(shift=self._shift)
        self.is_exhausted = chunk is None
        if chunk is not None:
            self._current = _Held(chunk, cursor=chunk.first_id - 1)
        return self._current


def _close(held: _Held) -> None:
    if held.is_fed and not held.num_open:
        finish_chunk(chunk=held.chunk)
