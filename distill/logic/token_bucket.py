"""Limits a minute: those that somebody configured, and those that a provider's headers tell."""

from __future__ import annotations

import math

from distill.logic.types import Allowance

_SMOOTHED_SECONDS = 2.0
_SECONDS_A_WINDOW = 60.0
_ROUNDING = 1e-9
_BELIEVED_SECONDS = 60.0
_SILENT_SECONDS = 1.0
_ROUNDED_SECONDS = 1.5


class TokenBucket:
    """A configured limit a minute, spent evenly over its seconds (Turner 1986, "leaky bucket").

    It holds two seconds' worth (`burst`) and refills at (`per_minute` − `burst`) / 60 a second, so
    no 60 seconds see more than burst + 60 · rate = `per_minute`. What is larger than the burst
    leaves when the bucket is full and is paid off afterwards: by that part of one single amount a
    minute may exceed its limit. Corrections by what was really used may also lead into debt.
    """

    __slots__ = ("_at", "_burst", "_level", "_per_minute", "_rate")

    def __init__(self, per_minute: float, *, now: float) -> None:
        self._per_minute = per_minute
        self._at = now
        self._level = math.inf
        self.share(1)

    def share(self, workers: int) -> None:
        """Keep to one worker's part of the limit."""
        part = self._per_minute / workers
        self._burst = part * _SMOOTHED_SECONDS / _SECONDS_A_WINDOW
        self._rate = (part - self._burst) / _SECONDS_A_WINDOW
        self._level = min(self._level, self._burst)

    def level(self, now: float) -> float:
        """What may be taken now; negative while a debt is paid off."""
        if now > self._at:
            self._level = min(self._burst, self._level + (now - self._at) * self._rate)
            self._at = now
        return self._level

    def wait(self, now: float, amount: float) -> float:
        """Seconds until `amount` may be taken; 0.0 now."""
        lacking = min(amount, self._burst) - self.level(now)
        return lacking / self._rate if lacking > self._burst * _ROUNDING else 0.0

    def take(self, amount: float) -> None:
        """Spend `amount`; a negative one gives back what was estimated and not used."""
        self._level = min(self._burst, self._level - amount)


class Quota:
    """What is left of a limit according to the newest header, less what has been sent since.

    Providers count in one of two ways. A bucket refills steadily: it is whole again after
    60 · (limit − remaining) / limit seconds, and where the header's reset says just that, the level
    rises with time (OpenAI, Anthropic). Any other reset is the end of a fixed window: nothing comes
    back before. A header is believed for at most a minute, and for a second where it has no reset.
    """

    __slots__ = ("_at", "_capacity", "_level", "_newest", "_rate", "_reset_at", "_workers")

    def __init__(self, *, now: float) -> None:
        self._at = now
        self._newest = -math.inf
        self._level = self._capacity = self._reset_at = math.inf
        self._rate = 0.0
        self._workers = 1

    def share(self, workers: int) -> None:
        """Leave the other workers their part of what the following headers tell."""
        self._workers = workers

    def learn(self, allowance: Allowance, *, now: float, sent_at: float, pending: float) -> None:
        """Take over what a reply's header says.

        It was written when the request arrived there, so `pending`, what is still on the way of
        this worker, is not in it yet. A header of an earlier request than the newest is old news.
        """
        remaining = allowance.remaining
        if remaining is None or not 0 <= remaining < math.inf or sent_at < self._newest:
            return
        limit = _positive(allowance.limit)
        reset = _positive(allowance.reset_seconds)
        self._newest = sent_at
        self._at = now
        self._level = remaining / self._workers - pending
        self._capacity = math.inf if limit is None else limit / self._workers
        self._reset_at = now + min(reset or _SILENT_SECONDS, _BELIEVED_SECONDS)
        self._rate = _refill(limit, remaining, reset) / self._workers

    def level(self, now: float) -> float:
        """What may be taken now; infinite where no header says anything."""
        if now >= self._reset_at:
            self._level = self._capacity
            self._reset_at = now + _BELIEVED_SECONDS
        elif now > self._at:
            self._level = min(self._capacity, self._level + (now - self._at) * self._rate)
        self._at = max(now, self._at)
        return self._level

    def wait(self, now: float, amount: float) -> float:
        """Seconds until `amount` may be taken; 0.0 now."""
        lacking = min(amount, self._capacity) - self.level(now)
        if lacking <= 0:
            return 0.0
        refilled = lacking / self._rate if self._rate > 0 else math.inf
        return min(refilled, self._reset_at - now)

    def take(self, amount: float) -> None:
        """Spend `amount`."""
        self._level -= amount


def _positive(value: float | None) -> float | None:
    return value if value is not None and 0 < value < math.inf else None


def _refill(limit: float | None, remaining: float, reset: float | None) -> float:
    """What a steadily refilled limit gains a second; 0.0 for a fixed window."""
    if limit is None or reset is None:
        return 0.0
    whole_after = _SECONDS_A_WINDOW * (limit - remaining) / limit
    is_steady = abs(reset - whole_after) <= _ROUNDED_SECONDS
    return limit / _SECONDS_A_WINDOW if is_steady else 0.0
