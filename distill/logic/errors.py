"""The errors of the product.

DistillError                 its text is for people: what is wrong, where, what to do
├── InputError               a file, a field or a value that was given to us
├── ConflictError            somebody was first; nothing was changed
└── TeacherError             a model gave no usable reply: kind, retry_after, what it cost
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distill.logic.types import RateLimits, Usage


class FailureKind(StrEnum):
    RATE_LIMITED = "rate_limited"
    SERVER = "server"
    CONNECTION = "connection"
    TIMEOUT = "timeout"
    BROKEN_ENVELOPE = "broken_envelope"
    EMPTY = "empty"
    REFUSED = "refused"
    CONTEXT_TOO_LONG = "context_too_long"
    TRUNCATED = "truncated"
    UNPARSEABLE = "unparseable"
    BAD_REQUEST = "bad_request"
    AUTHENTICATION = "authentication"
    OUT_OF_BUDGET = "out_of_budget"

    @property
    def is_retryable(self) -> bool:
        """Sending the same request again may succeed."""
        return self in _RETRYABLE

    @property
    def may_be_billed(self) -> bool:
        """The provider may have produced a completion before this failure.

        Never for a limit (429, 503, 529) or a refused request. Of a single failure
        `TeacherError.may_be_billed` knows more: a request that never left cost nothing.
        """
        return self in _MAY_BE_BILLED

    @property
    def stops_the_run(self) -> bool:
        """No other request of the run can succeed either."""
        return self in (FailureKind.AUTHENTICATION, FailureKind.OUT_OF_BUDGET)


_RETRYABLE = {
    FailureKind.RATE_LIMITED,
    FailureKind.SERVER,
    FailureKind.CONNECTION,
    FailureKind.TIMEOUT,
    FailureKind.BROKEN_ENVELOPE,
    FailureKind.EMPTY,
}
_MAY_BE_BILLED = {
    FailureKind.SERVER,
    FailureKind.CONNECTION,
    FailureKind.TIMEOUT,
    FailureKind.BROKEN_ENVELOPE,
    FailureKind.EMPTY,
    # A refusal is a completion; some providers charge for a filtered prompt too.
    FailureKind.REFUSED,
    FailureKind.TRUNCATED,
    FailureKind.UNPARSEABLE,
}


class DistillError(Exception):
    """Its text is shown to users as it is."""


class InputError(DistillError, ValueError):
    """Something that was given to us cannot be used; the text names it and says what to do."""


class ConflictError(DistillError):
    """The state moved on before this change; nothing was changed."""


class TeacherError(DistillError):
    """A request got no usable reply.

    `raw` keeps the body where there was one, and `usage` its token counts where it told them: then
    that is what it cost. `is_sent` is False only where it is certain that the request never reached
    the provider (refused connection, unknown host, connect deadline). `rate_limits` is what the
    headers said, `latency_ms` how long it took until the failure.
    """

    def __init__(
        self,
        kind: FailureKind,
        message: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        raw: bytes = b"",
        latency_ms: int = 0,
        usage: Usage | None = None,
        is_sent: bool = True,
        rate_limits: RateLimits | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status
        self.retry_after = retry_after
        self.raw = raw
        self.latency_ms = latency_ms
        self.usage = usage
        self.is_sent = is_sent
        self.rate_limits = rate_limits

    @property
    def may_be_billed(self) -> bool:
        """Whether this sending may cost something: its `usage`, or up to its upper bound."""
        return self.is_sent and self.kind.may_be_billed
