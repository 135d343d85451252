"""The circuit breaker: nothing leaves while a provider answers nothing, but one probe now and then."""

from __future__ import annotations

import math
from typing import Literal

State = Literal["closed", "open", "half_open"]

OPEN_AFTER = 10.0
"""Failures in a row before the circuit opens."""
_FIRST_SECONDS = 1.0
_GROWTH = 1.5
_LONGEST_SECONDS = 2.5
_PROBE_PATIENCE = 3.0
_GOLDEN = 0.6180339887498949


class Circuit:
    """Closed: all may leave. Open: none. Half open: one probe is on the way (Nygard, "Release It!",
    2007).

    It opens after `OPEN_AFTER` failures in a row, of requests sent after the last sign of life, when
    nothing is on the way that could still bring one, or none came for `patience` seconds. So those
    that hang on while others are answered prove nothing, and those that were on the way when it
    opened neither hold it open nor close it. Probes leave after 1, 1.5, 2.25, 2.5, 2.5, … seconds,
    each shortened by up to a fifth, lest workers knock at once. A probe that is silent for longer
    than `patience` is overtaken by the next.
    """

    __slots__ = (
        "_failing_since", "_failures", "_last_sign", "_next_probe_at", "_opened_at",
        "_probe_sent_at", "_probe_wait", "state",
    )  # fmt: skip

    def __init__(self, *, now: float) -> None:
        self.state: State = "closed"
        self._last_sign = -math.inf
        self._failures = 0.0
        self._failing_since = now
        self._opened_at = now
        self._next_probe_at = now
        self._probe_sent_at = now
        self._probe_wait = _FIRST_SECONDS

    def wait(self, now: float, patience: float) -> float:
        """Seconds until a request may leave as far as the circuit goes; 0.0 now."""
        if self.state == "closed":
            return 0.0
        if self.state == "open":
            return max(0.0, self._next_probe_at - now)
        return max(0.0, self._probe_sent_at + max(patience, _PROBE_PATIENCE) - now)

    def send_probe(self, now: float) -> None:
        """The circuit is open and a request leaves all the same."""
        self.state = "half_open"
        self._probe_sent_at = now

    def on_sign_of_life(self, now: float, *, sent_at: float) -> bool:
        """The provider dealt with a request. True if that has just closed the circuit."""
        self._last_sign = now
        self._failures = 0.0
        if self.state == "closed" or sent_at <= self._opened_at:
            return False
        self.state = "closed"
        return True

    def on_failure(
        self, now: float, *, sent_at: float, weight: float, is_last: bool, patience: float
    ) -> bool:
        """A request failed, and it is no fault of its own. True if that has just opened the circuit.

        `is_last` says that nothing else is on the way.
        """
        if self.state != "closed":
            if self.state == "half_open" and sent_at >= self._probe_sent_at:
                self._wait_for_next(now, min(self._probe_wait * _GROWTH, _LONGEST_SECONDS))
            return False
        if sent_at <= self._last_sign:
            return False
        if not self._failures:
            self._failing_since = sent_at
        self._failures += weight
        if self._failures < OPEN_AFTER or not (is_last or now - self._failing_since >= patience):
            return False
        self._opened_at = now
        self._wait_for_next(now, _FIRST_SECONDS)
        return True

    def _wait_for_next(self, now: float, seconds: float) -> None:
        self.state = "open"
        self._probe_wait = seconds
        # The digits of the time are as good as a random number, and make a test repeatable.
        jitter = math.modf(abs(now) * 1000 * _GOLDEN)[0]
        self._next_probe_at = now + seconds * (1 - 0.2 * jitter)
