"""When a request to one teacher may leave: requests at once, requests and tokens a minute, circuit.

Pure: time is an argument, in seconds of any clock that only rises. Each event costs a few
microseconds, however many requests are in flight.
"""

from __future__ import annotations

from distill.logic.circuit import Circuit, State
from distill.logic.concurrency import ConcurrencyLimit
from distill.logic.errors import FailureKind
from distill.logic.limits import Limits
from distill.logic.token_bucket import Quota, TokenBucket
from distill.logic.types import Allowance, RateLimits

_SHORTEST_WAIT = 0.005
_UNKNOWN_PATIENCE = 10.0
_MEAN_GAIN = 1 / 32
_WEIGHTS = {
    FailureKind.RATE_LIMITED: 1.0,
    FailureKind.SERVER: 1.0,
    FailureKind.CONNECTION: 1.0,
    # A request may time out through its own fault, and is asked again up to five times.
    FailureKind.TIMEOUT: 0.2,
}
"""How much a failure says of the provider's being down; all other kinds are signs of life."""


class Throttle:
    """One teacher (lane) as one worker sees it.

    `ceiling` is the worker's number of slots, `limits` the account's (divided by `share`),
    `remembered` the limit of an earlier worker of the same lane.

    Each request that `admit` lets go ends in exactly one of `on_reply`, `on_failure`,
    `on_cancelled`; their `sent_at` is the `now` of its `admit`. A provider's `retry_after` is none
    of the lane's business: it belongs to the request that got it.

    When a request is admitted, those in flight are at most `limit`; a limit that falls calls nobody
    back. While the circuit is not closed the limit is 1: the probe, beside those still on the way.
    """

    def __init__(
        self,
        *,
        ceiling: int,
        limits: Limits | None = None,
        remembered: float | None = None,
        now: float,
    ) -> None:
        limits = limits or Limits()
        self.is_probing = False
        """The request admitted last is a probe of the open circuit."""
        self._concurrency = ConcurrencyLimit(ceiling=ceiling, remembered=remembered, now=now)
        self._circuit = Circuit(now=now)
        self._means = [1.0, 0.0, 0.0]
        self._buckets = [
            (part, TokenBucket(per_minute, now=now))
            for part, per_minute in enumerate(
                (
                    limits.requests_per_minute,
                    limits.input_tokens_per_minute,
                    limits.output_tokens_per_minute,
                )
            )
            if per_minute is not None
        ]
        self._quotas = [Quota(now=now) for _ in self._means]
        # Those of the provider that no header has spoken of stay out of the way.
        self._meters: list[tuple[int, TokenBucket | Quota]] = list(self._buckets)

    @property
    def limit(self) -> float:
        """How many requests may be in flight: from 1 to the ceiling."""
        return self._concurrency.limit if self._circuit.state == "closed" else 1.0

    @property
    def state(self) -> State:
        """The circuit's."""
        return self._circuit.state

    @property
    def in_flight(self) -> int:
        """Requests on the way."""
        return self._concurrency.in_flight

    @property
    def remembered(self) -> float | None:
        """What to tell the lane's next throttle; None before the first good reply."""
        has_replies = self._concurrency.reply_seconds is not None
        return self._concurrency.good_limit if has_replies else None

    def room(self, now: float) -> int:
        """How many more requests of the usual size may leave now; 1 when a probe is due."""
        room = min(self._free(now), self._concurrency.ceiling)
        for part, meter in self._meters:
            mean = self._means[part]
            if not room:
                break
            if meter.wait(now, mean) > 0:
                return 0
            if mean > 0:
                room = min(room, max(1, int(min(meter.level(now) / mean, room))))
        return room

    def admit(self, now: float, *, input_tokens: int, output_tokens: int) -> float | None:
        """None: the request leaves now. Else the seconds until it is worth asking again, never 0;
        each event in between makes it worth while too.

        The tokens are what the request will probably use: what matters is the expected output, not
        its upper bound, though `on_reply` corrects either.
        """
        self.is_probing = False
        if not self._free(now):
            return max(_SHORTEST_WAIT, self._wait_for_place(now))
        amounts = (1, input_tokens, output_tokens)
        wait = 0.0
        for part, meter in self._meters:
            wait = max(wait, meter.wait(now, amounts[part]))
        if wait > 0:
            return max(_SHORTEST_WAIT, wait)
        for part, meter in self._meters:
            meter.take(amounts[part])
        self._means[1] += _MEAN_GAIN * (input_tokens - self._means[1])
        self._means[2] += _MEAN_GAIN * (output_tokens - self._means[2])
        self._concurrency.on_sent()
        if self._circuit.state != "closed":
            self._circuit.send_probe(now)
            self.is_probing = True
        return None

    def on_reply(
        self,
        now: float,
        *,
        sent_at: float,
        input_tokens: int | None,
        output_tokens: int | None,
        estimated: tuple[int, int],
        rate_limits: RateLimits | None = None,
    ) -> None:
        """A reply came. `estimated` are the tokens given to `admit`; without usage they stand."""
        used = (1, input_tokens, output_tokens)
        for part, bucket in self._buckets:
            tokens = used[part]
            if part and tokens is not None:
                bucket.take(tokens - estimated[part - 1])
        self._concurrency.on_reply(now, sent_at=sent_at)
        self._on_sign_of_life(now, sent_at=sent_at)
        self._learn(rate_limits, now=now, sent_at=sent_at)

    def on_failure(
        self,
        now: float,
        *,
        sent_at: float,
        kind: FailureKind,
        retry_after: float | None = None,
        rate_limits: RateLimits | None = None,
    ) -> None:
        """A request failed. Its tokens stay spent: providers count failed requests too."""
        weight = _WEIGHTS.get(kind)
        if weight is None:
            self._concurrency.on_other(now, sent_at=sent_at)
            self._on_sign_of_life(now, sent_at=sent_at)
        else:
            is_refused = kind is FailureKind.RATE_LIMITED
            self._concurrency.on_failure(now, sent_at=sent_at, is_refused=is_refused)
            has_opened = self._circuit.on_failure(
                now,
                sent_at=sent_at,
                weight=weight,
                is_last=not self._concurrency.in_flight,
                patience=self._patience(),
            )
            if has_opened:
                self._concurrency.suspend()
        self._learn(rate_limits, now=now, sent_at=sent_at)

    def on_cancelled(self, now: float) -> None:
        """Nobody waits for a request any more; a probe's place is taken by the next one soon."""
        self._concurrency.on_cancelled(now)

    def resize(self, ceiling: int) -> None:
        """This worker has another number of slots from now on."""
        self._concurrency.resize(ceiling)

    def share(self, workers: int) -> None:
        """So many workers use the account: keep to an equal part of its limits a minute."""
        for _, bucket in self._buckets:
            bucket.share(workers)
        for quota in self._quotas:
            quota.share(workers)

    def _on_sign_of_life(self, now: float, *, sent_at: float) -> None:
        if self._circuit.on_sign_of_life(now, sent_at=sent_at):
            self._concurrency.restart(now)

    def _patience(self) -> float:
        """Seconds without a good reply that say something: two reply times."""
        seconds = self._concurrency.reply_seconds
        return _UNKNOWN_PATIENCE if seconds is None else max(1.0, 2 * seconds)

    def _free(self, now: float) -> int:
        if self._circuit.state == "closed":
            return self._concurrency.free(now)
        has_slot = self._concurrency.in_flight < self._concurrency.ceiling
        return int(has_slot and self._circuit.wait(now, self._patience()) <= 0)

    def _wait_for_place(self, now: float) -> float:
        wait = self._circuit.wait(now, self._patience())
        return wait if wait > 0 else self._concurrency.wait(now)

    def _learn(self, rate_limits: RateLimits | None, *, now: float, sent_at: float) -> None:
        if rate_limits is None:
            return
        told = (rate_limits.requests, rate_limits.input_tokens, rate_limits.output_tokens)
        for part, allowance in enumerate(told):
            if allowance.remaining is not None:
                self._learn_part(part, allowance, now=now, sent_at=sent_at)

    def _learn_part(self, part: int, allowance: Allowance, *, now: float, sent_at: float) -> None:
        quota = self._quotas[part]
        pending = self._concurrency.in_flight * self._means[part]
        quota.learn(allowance, now=now, sent_at=sent_at, pending=pending)
        if all(meter is not quota for _, meter in self._meters):
            self._meters.append((part, quota))
