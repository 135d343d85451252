"""Whether a failed request is sent again, and after how long."""

from __future__ import annotations

from typing import Annotated

from distill.logic.documents import Document, between
from distill.logic.errors import FailureKind

BROKEN = (FailureKind.BROKEN_ENVELOPE, FailureKind.EMPTY)
"""Replies that came, and may have been paid for, but are of no use: counted for themselves."""


class RetryPolicy(Document):
    """How often and how patiently a request is sent again.

    `max_attempts` counts sendings, the first included. A reply that was paid for and is of no use
    (broken envelope, no text) is bought again at most `max_broken` times. A reply that reached
    `max_tokens` is asked for once more with `longer` times as many (1: never). Waiting for a rate
    limit uses up none of them, but ends after `max_wait_seconds` in all; no single wait may be
    longer than that either.
    """

    max_attempts: Annotated[int, between(1, 20)] = 5
    max_broken: Annotated[int, between(0, 20)] = 3
    longer: Annotated[float, between(1, 8)] = 2.0
    base_seconds: Annotated[float, between(0, 60)] = 1.0
    cap_seconds: Annotated[float, between(0, 600)] = 60.0
    max_wait_seconds: Annotated[float, between(0, 86_400)] = 900.0


class Deadlines(Document):
    """Seconds that a request may take: to connect, until the reply begins, in all."""

    connect_seconds: Annotated[float, between(0.1, 600)] = 10.0
    first_byte_seconds: Annotated[float, between(0.1, 3600)] = 150.0
    total_seconds: Annotated[float, between(0.1, 3600)] = 180.0


def next_delay(
    policy: RetryPolicy,
    *,
    kind: FailureKind,
    failures: int,
    retry_after: float | None,
    jitter: float,
    waited_seconds: float | None = None,
) -> float | None:
    """Seconds until the request is sent again, or None to give up.

    `failures` counts this request's failures of this sort, the last one included: all rate limits,
    all replies of no use (`BROKEN`), or all others. `jitter` is a random number from 0 to 1; with
    it the delay is spread over the whole interval (full jitter: AWS Architecture Blog, "Exponential
    Backoff and Jitter", 2015). The provider's `retry_after` is never undercut. `waited_seconds` is
    what rate limits have cost this request so far; without it the longest that `failures` can have
    cost is assumed.
    """
    if not kind.is_retryable:
        return None
    backoff = jitter * _ceiling(policy, failures)
    delay = backoff if retry_after is None else max(retry_after, 0.0) + jitter * policy.base_seconds
    waited = 0.0
    if kind is FailureKind.RATE_LIMITED:
        assumed = sum(_ceiling(policy, earlier) for earlier in range(1, failures))
        waited = assumed if waited_seconds is None else waited_seconds
    elif failures > (policy.max_broken if kind in BROKEN else policy.max_attempts - 1):
        return None
    # A NaN from a header is not <= either.
    return delay if waited + delay <= policy.max_wait_seconds else None


def _ceiling(policy: RetryPolicy, failures: int) -> float:
    """The longest wait after so many failures: base, 2·base, 4·base, … up to the cap."""
    # 2.0**1024 overflows; 2**40 base steps are above every cap.
    return min(policy.cap_seconds, policy.base_seconds * 2.0 ** min(max(failures - 1, 0), 40))
