"""A lane: one teacher with its throttle, what is ready to leave for it, and how fast it goes."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

from distill.logic.errors import TeacherError
from distill.logic.throttle import Throttle
from distill.logic.types import Reply, Request

Tag = TypeVar("Tag")

PATIENCE_SECONDS = 5.0
"""A ready sending that has waited so long is handed back: its purchase's time is running."""
AHEAD_SECONDS = 2.0
"""No lane holds more ready sendings than it will take in so long: far below the patience."""
FEW = 4
"""So many at least are held ready, where the lane takes them in AHEAD_SECONDS."""
UNKNOWN_OUTPUT_TOKENS = 500
"""The guess for a lane's first requests, where they set no `max_tokens`."""
_GAIN = 1 / 32
_PEAK_DECAY = 0.95
_LIMIT_NAMES = ("max_tokens", "max_completion_tokens")


@dataclass(frozen=True, slots=True)
class Ready(Generic[Tag]):
    """A sending that waits in its lane; `tokens` are those estimated: input, output."""

    request: Request
    tag: Tag
    since: float
    tokens: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Departure(Generic[Tag]):
    """A sending that has left."""

    lane: Lane[Tag]
    ready: Ready[Tag]
    sent_at: float
    is_probe: bool


class Lane(Generic[Tag]):
    """One teacher: its throttle, what is ready for it, and how fast it goes."""

    def __init__(self, name: str, throttle: Throttle) -> None:
        self.name, self.throttle = name, throttle
        self.ready: deque[Ready[Tag]] = deque()
        self.has_more = True
        self.blocked: asyncio.TimerHandle | None = None
        self._num_in_flight = 0
        self._num_arrived = 0
        self._peak = 0.0
        self._mean_seconds = 0.0
        self._mean_output: float | None = None

    def push(self, request: Request, tag: Tag, now: float) -> None:
        tokens = _estimate(request, self._mean_output)
        self.ready.append(Ready(request, tag, now, tokens))

    def depart(self, now: float) -> Departure[Tag] | float:
        """Let the first ready sending leave; else the seconds until it is worth asking again."""
        input_tokens, output_tokens = self.ready[0].tokens
        seconds = self.throttle.admit(now, input_tokens=input_tokens, output_tokens=output_tokens)
        if seconds is not None:
            return seconds
        self._num_in_flight += 1
        return Departure(self, self.ready.popleft(), now, self.throttle.is_probing)

    def settle(self, departure: Departure[Tag], outcome: Reply | TeacherError, now: float) -> None:
        """Tell the throttle how a request ended, and learn how long and how much it took."""
        self._num_in_flight -= 1
        self._num_arrived += 1
        took = now - departure.sent_at
        gain = _GAIN if self._mean_seconds else 1.0
        self._mean_seconds += gain * (took - self._mean_seconds)
        if isinstance(outcome, TeacherError):
            self.throttle.on_failure(
                now,
                sent_at=departure.sent_at,
                kind=outcome.kind,
                retry_after=outcome.retry_after,
                rate_limits=outcome.rate_limits,
            )
            return
        usage = outcome.usage
        if usage is not None:
            mean = usage.completion_tokens if self._mean_output is None else self._mean_output
            self._mean_output = mean + _GAIN * (usage.completion_tokens - mean)
        self.throttle.on_reply(
            now,
            sent_at=departure.sent_at,
            input_tokens=usage.prompt_tokens if usage else None,
            output_tokens=usage.completion_tokens if usage else None,
            estimated=departure.ready.tokens,
            rate_limits=outcome.rate_limits,
        )

    def cancel(self, now: float) -> None:
        self._num_in_flight -= 1
        self.throttle.on_cancelled(now)

    def end_cycle(self) -> None:
        """A turn begins: requests come in bunches, so remember how many came since the last one."""
        self._peak = max(float(self._num_arrived), _PEAK_DECAY * self._peak)
        self._num_arrived = 0

    def ahead(self, seconds: float, slots: int) -> int:
        """How many more than can leave now the lane will take within `seconds`.

        By Little's law it takes as many a second as are in flight, over how long each takes. They
        come in bunches, so up to twice as many where as many came between two turns lately.
        """
        if self.throttle.state != "closed" or not self._mean_seconds:
            return 0
        rate = self._num_in_flight / self._mean_seconds
        usual = rate * seconds
        wanted = max(usual, min(self._peak, 2 * usual), FEW)
        return min(math.ceil(wanted), int(rate * AHEAD_SECONDS), slots)

    def take_stale(self, now: float) -> list[Ready[Tag]]:
        """Remove what has waited too long, or all of it while the circuit is open."""
        is_open = self.throttle.state == "open"
        stale: list[Ready[Tag]] = []
        while self.ready and (is_open or self.ready[0].since + PATIENCE_SECONDS <= now):
            stale.append(self.ready.popleft())
        return stale


def _estimate(request: Request, mean_output: float | None) -> tuple[int, int]:
    """Tokens that a request will take: its UTF-8 bytes / 4, and the lane's mean or its limit."""
    num_bytes = sum(
        len(part.content) if part.content.isascii() else len(part.content.encode())
        for part in request.messages
    )
    limits = [request.parameters[name] for name in _LIMIT_NAMES if name in request.parameters]
    most = next((limit for limit in limits if isinstance(limit, int)), None)
    if mean_output is None:
        return num_bytes // 4 + 1, UNKNOWN_OUTPUT_TOKENS if most is None else most
    guess = math.ceil(mean_output)
    return num_bytes // 4 + 1, guess if most is None else min(guess, most)
