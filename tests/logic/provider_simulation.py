"""A worker that always has work, its throttle, and a provider: a discrete-event simulation.

Time is simulated, randomness seeded: what comes out is the same on every machine.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from distill.logic.errors import FailureKind
from distill.logic.throttle import Throttle
from distill.logic.types import Allowance, RateLimits


class Answer(NamedTuple):
    """What the provider makes of a request: after so many seconds a reply (None) or a failure."""

    seconds: float
    failure: FailureKind | None = None
    rate_limits: RateLimits | None = None


Provider = Callable[[float, int], Answer]
"""Time and number of requests being worked on there → what becomes of this one."""


class Event(NamedTuple):
    at: float
    sent_at: float
    kind: Literal["sent", "replied", "failed"]
    was_probe: bool


@dataclass
class Simulation:
    """Runs a throttle against a provider; `events` and `busy` (in flight over time) say how it went."""

    throttle: Throttle
    provider: Provider
    estimated: tuple[int, int] = (500, 500)
    used: tuple[int, int] = (500, 500)
    events: list[Event] = field(default_factory=list)
    num_asked: int = 0
    busy: list[tuple[float, int]] = field(default_factory=list)
    working: int = 0
    _queue: list[tuple[float, int, float, Answer | None, bool]] = field(default_factory=list)
    _serial: int = 0
    _asked_again_at: float = float("inf")

    def run(self, until: float, *, start: float = 0.0) -> Simulation:
        self._fill(start)
        while self._queue and self._queue[0][0] <= until:
            now, _, sent_at, answer, was_probe = heapq.heappop(self._queue)
            if answer is not None:
                self._arrive(now, sent_at, answer, was_probe)
            elif now == self._asked_again_at:
                self._asked_again_at = float("inf")
            else:
                continue
            self._fill(now)
        return self

    def _fill(self, now: float) -> None:
        while True:
            self.num_asked += 1
            wait = self.throttle.admit(
                now, input_tokens=self.estimated[0], output_tokens=self.estimated[1]
            )
            if wait is not None:
                break
            self._send(now)
        assert wait > 0
        if now + wait < self._asked_again_at:
            self._asked_again_at = now + wait
            self._push(now + wait, now, None, False)

    def _send(self, now: float) -> None:
        answer = self.provider(now, self.working)
        self.working += answer.failure is None
        self._push(now + answer.seconds, now, answer, self.throttle.is_probing)
        self.events.append(Event(now, now, "sent", self.throttle.is_probing))
        self.busy.append((now, self.throttle.in_flight))

    def _arrive(self, now: float, sent_at: float, answer: Answer, was_probe: bool) -> None:
        if answer.failure is None:
            self.working -= 1
            self.throttle.on_reply(
                now,
                sent_at=sent_at,
                input_tokens=self.used[0],
                output_tokens=self.used[1],
                estimated=self.estimated,
                rate_limits=answer.rate_limits,
            )
        else:
            self.throttle.on_failure(
                now, sent_at=sent_at, kind=answer.failure, rate_limits=answer.rate_limits
            )
        kind: Literal["replied", "failed"] = "failed" if answer.failure else "replied"
        self.events.append(Event(now, sent_at, kind, was_probe))
        self.busy.append((now, self.throttle.in_flight))

    def _push(self, at: float, sent_at: float, answer: Answer | None, was_probe: bool) -> None:
        self._serial += 1
        heapq.heappush(self._queue, (at, self._serial, sent_at, answer, was_probe))

    def count(self, kind: str, since: float, until: float = float("inf")) -> int:
        return sum(event.kind == kind and since <= event.at < until for event in self.events)

    def replies_per_second(self, since: float, until: float) -> float:
        return self.count("replied", since, until) / (until - since)

    def share_failed(self, since: float, until: float = float("inf")) -> float:
        failed = self.count("failed", since, until)
        return failed / max(1, failed + self.count("replied", since, until))

    def mean_in_flight(self, since: float, until: float) -> float:
        total, at, level = 0.0, since, 0
        for when, in_flight in self.busy:
            if when > since:
                total += (min(when, until) - at) * level
                at = min(when, until)
            level = in_flight
        return (total + (until - at) * level) / (until - since)


def capacity(
    places: int, *, seconds: float = 1.0, refusal_seconds: float = 0.02, spread: float = 0.1
) -> Provider:
    """Works on `places` requests at once and refuses all others."""
    chance = random.Random(places)

    def answer(now: float, working: int) -> Answer:
        if working >= places:
            return Answer(refusal_seconds, FailureKind.RATE_LIMITED)
        return Answer(seconds * (1 + spread * (2 * chance.random() - 1)))

    return answer


def random_refusals(share: float, *, seconds: float = 1.0, seed: int = 1) -> Provider:
    """Refuses that share of the requests, whatever their number."""
    chance = random.Random(seed)

    def answer(now: float, working: int) -> Answer:
        if chance.random() < share:
            return Answer(0.02, FailureKind.RATE_LIMITED)
        return Answer(seconds * (0.9 + 0.2 * chance.random()))

    return answer


def outage(
    begins: float, ends: float, kind: FailureKind, *, refusal_seconds: float = 0.01
) -> Provider:
    """Answers after a second, but fails in every case for a while."""
    chance = random.Random(3)

    def answer(now: float, working: int) -> Answer:
        if begins <= now < ends:
            return Answer(refusal_seconds, kind)
        return Answer(0.9 + 0.2 * chance.random())

    return answer


def bucket_with_headers(per_minute: float, *, seconds: float = 1.0) -> Provider:
    """Allows so many requests a minute, refilled steadily, and says what is left."""
    level, at = per_minute, 0.0

    def answer(now: float, working: int) -> Answer:
        nonlocal level, at
        level = min(per_minute, level + (now - at) * per_minute / 60)
        at = now
        is_refused = level < 1
        level -= not is_refused
        reset = (per_minute - level) * 60 / per_minute
        told = RateLimits(requests=Allowance(per_minute, int(level), reset))
        if is_refused:
            return Answer(0.02, FailureKind.RATE_LIMITED, told)
        return Answer(seconds, None, told)

    return answer


def window_with_headers(per_minute: int, *, seconds: float = 1.0) -> Provider:
    """Allows so many requests in each minute of its clock, and says what is left."""
    minute, used = -1, 0

    def answer(now: float, working: int) -> Answer:
        nonlocal minute, used
        clock = now + 20
        if clock // 60 != minute:
            minute, used = int(clock // 60), 0
        is_refused = used >= per_minute
        used += not is_refused
        told = RateLimits(requests=Allowance(per_minute, per_minute - used, 60 - clock % 60))
        if is_refused:
            return Answer(0.02, FailureKind.RATE_LIMITED, told)
        return Answer(seconds, None, told)

    return answer
