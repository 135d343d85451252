"""Limits that the offline teacher really holds to: requests a minute, and how many at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Bucket:
    """Requests a minute, as a bucket that holds a whole minute's and refills steadily."""

    per_minute: float
    level: float
    filled_at: float

    @classmethod
    def full(cls, per_minute: float, now: float) -> Bucket:
        """A bucket that nobody has asked yet. `now` in seconds, of any clock that goes forward."""
        return cls(per_minute, per_minute, now)

    def take(self, now: float) -> float:
        """Take one request: 0 where it may go, else the seconds until the next may."""
        refill = (now - self.filled_at) * self.per_minute / 60
        self.level = min(self.per_minute, self.level + refill)
        self.filled_at = now
        if self.level < 1:
            return (1 - self.level) * 60 / self.per_minute
        self.level -= 1
        return 0.0

    def headers(self) -> dict[str, str]:
        """How OpenAI tells it: the limit, what remains, and how long until it is whole again."""
        until_full = (self.per_minute - self.level) * 60 / self.per_minute
        return {
            "x-ratelimit-limit-requests": f"{self.per_minute:g}",
            "x-ratelimit-remaining-requests": str(int(self.level)),
            "x-ratelimit-reset-requests": f"{until_full:.3f}s",
        }
