"""The orders of a worker that are yet to be bought: by teacher, and those whose time is to come."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Iterable
from typing import TypeVar

from distill.services.offer import Offer
from distill.services.orders import Order

Tag = TypeVar("Tag")

SAME_SECONDS = 0.2
"""An equal request is in flight: so soon is the order looked at again."""


class Queue:
    """Orders that are ready, by teacher, those that wait, and the keys of those in flight.

    What a teacher has no room for stays here, unbought, so that nothing expires; equal requests are
    asked once. Times are seconds of a clock that only rises.
    """

    def __init__(self) -> None:
        self._ready: dict[str, deque[Order]] = {}
        self._later: list[tuple[float, int, bool, Order]] = []
        self._sequence = itertools.count()
        self._in_flight: set[bytes] = set()
        self.num_ready = self.num_busy = 0

    @property
    def num_later(self) -> int:
        """Orders that wait for their time."""
        return len(self._later)

    @property
    def num_in_flight(self) -> int:
        """Orders that are bought and have not come back."""
        return len(self._in_flight)

    @property
    def next_due(self) -> float | None:
        """When the first of those that wait is ready; None without any."""
        return self._later[0][0] if self._later else None

    @property
    def teachers(self) -> list[str]:
        """Those for whom orders are ready."""
        return [teacher for teacher, lane in self._ready.items() if lane]

    def ready_for(self, teacher: str) -> int:
        return len(self._ready.get(teacher, ()))

    def add(self, orders: Iterable[Order]) -> None:
        for order in orders:
            self._lane(order).append(order)
            self.num_ready += 1

    def add_first(self, orders: Iterable[Order]) -> None:
        """Add orders, in their order, before those that are ready."""
        for order in reversed(list(orders)):
            self._lane(order).appendleft(order)
            self.num_ready += 1

    def postpone(self, order: Order, until: float, *, is_busy: bool = False) -> None:
        """Let an order wait; `is_busy` where it is for another run's reply."""
        heapq.heappush(self._later, (until, next(self._sequence), is_busy, order))
        self.num_busy += is_busy

    def wake(self, now: float) -> None:
        """Make ready what has waited long enough."""
        while self._later and self._later[0][0] <= now:
            _due, _number, is_busy, order = heapq.heappop(self._later)
            self.num_busy -= is_busy
            self.add([order])

    def pick(self, offer: Offer[Tag], *, extra: int, now: float) -> list[Order]:
        """Take out orders for which there is room; their keys differ.

        So many as `extra` more are taken where there is any: the ledger probably knows them.
        """
        limit = offer.left + extra if offer.left else 0
        batch: dict[bytes, Order] = {}
        for teacher, lane in self._ready.items():
            free = offer.left_for(teacher)
            taken = 0
            while lane and free > 0 and taken < free + extra and len(batch) < limit:
                order = lane.popleft()
                self.num_ready -= 1
                if order.wish.key in batch or order.wish.key in self._in_flight:
                    self.postpone(order, now + SAME_SECONDS)
                else:
                    batch[order.wish.key] = order
                    taken += 1
        return list(batch.values())

    def sent(self, order: Order) -> None:
        self._in_flight.add(order.wish.key)

    def came_back(self, order: Order) -> None:
        self._in_flight.discard(order.wish.key)

    def _lane(self, order: Order) -> deque[Order]:
        return self._ready.setdefault(order.wish.request.teacher, deque())
