"""How many requests may be in flight at once: found out, never known."""

from __future__ import annotations

import math
from collections import deque

_FIRST = 32.0
_DOUBLING_SECONDS = 0.5
_LONGEST_STEP = 1.0
TOLERATED = 0.1
"""A share of refusals up to this lowers nothing."""
_ENOUGH_OUTCOMES = 50
_SMALLEST_SCALE = 10.0
_PROBING_SECONDS = 15.0
_PROBING_ROUND_TRIPS = 10.0
_UNKNOWN_SECONDS = 1.0
_LATENCY_GAIN = 1 / 32


class ConcurrencyLimit:
    """The limit of requests in flight: additive increase, multiplicative decrease, once a round trip.

    **Places.** A request takes a place. A refused one keeps it until a reply would have come, so
    that refusals, which come back fast, are neither hammered nor counted more often than replies.
    Hence the share of refusals of W places before a capacity of C is (W − C) / W, whatever the
    provider's speed (Little 1961), and W · (1 − share) = C.

    **Decrease**, at most once a round trip, looking only at requests sent after the last one: when
    the refused are more than a tenth of n outcomes and one standard deviation, 0.1 n + √(0.1 n),
    the limit becomes W · max(1 − share, ½): proportional to the share and at most by half as in
    DCTCP (Alizadeh 2010, RFC 8257). Random refusals of a few per cent change nothing; the places
    they hold are made up for by at most 1 / (1 − 0.1) as many places as there may be requests.

    **Increase**, while at least half of the places are taken (RFC 7661) and refusals tolerable. Up
    to `known`, where it last went wrong: twice as many each half second (slow start up to a
    threshold, RFC 5681). Above: known + 0.1 · max(known, 10) · (t / T)³, flat at first and ever
    faster (CUBIC's probing, RFC 9438), T being 15 s or ten round trips. `known` is the new limit
    after a decrease; after a storm, refusals of more than half, it lies half way back.
    """

    __slots__ = (
        "_at", "_cap", "_good_limit", "_held", "_known", "_limit", "_num_latencies", "_peak",
        "_probed_seconds", "_refused", "_reply_seconds", "_round_began", "_served", "_since",
        "ceiling", "in_flight",
    )  # fmt: skip

    def __init__(self, *, ceiling: int, remembered: float | None, now: float) -> None:
        self.ceiling = ceiling
        self.in_flight = 0
        self._cap = ceiling / (1 - TOLERATED)
        self._known = self._cap
        self._limit = min(_FIRST, float(ceiling))
        if remembered is not None and 1 <= remembered < ceiling:
            self._known = float(remembered)
            self._limit = min(_FIRST, max(1.0, remembered / 2))
        self._good_limit = 2 * self._limit
        self._held: deque[tuple[float, float | None]] = deque()
        self._reply_seconds = _UNKNOWN_SECONDS
        self._num_latencies = 0
        self._at = self._round_began = now
        self._since = -math.inf
        self._served = self._refused = self._peak = 0
        self._probed_seconds = 0.0

    @property
    def limit(self) -> float:
        """Between 1 and the ceiling."""
        return min(self._limit, float(self.ceiling))

    @property
    def reply_seconds(self) -> float | None:
        """How long replies take on average; None before the first."""
        return self._reply_seconds if self._num_latencies else None

    def free(self, now: float) -> int:
        """How many requests may leave now."""
        self._pass_time(now)
        taken = self.in_flight + len(self._held)
        return max(0, min(self.ceiling - self.in_flight, int(self._limit) - taken))

    def wait(self, now: float) -> float:
        """Seconds until a place may be free though nothing arrives."""
        if self._limit < self._known:
            return 0.02
        until_release = self._held[0][0] - now if self._held else 0.25
        return min(0.25, max(0.01, until_release))

    def on_sent(self) -> None:
        """A request leaves."""
        self.in_flight += 1
        self._peak = max(self._peak, self.in_flight + len(self._held))

    def on_reply(self, now: float, *, sent_at: float) -> None:
        """A reply came."""
        self._num_latencies += 1
        gain = max(_LATENCY_GAIN, 1 / self._num_latencies)
        self._reply_seconds += gain * (max(0.0, now - sent_at) - self._reply_seconds)
        self._good_limit = self._limit
        self.on_other(now, sent_at=sent_at)

    def on_other(self, now: float, *, sent_at: float) -> None:
        """The provider dealt with a request, well or badly, but did not refuse it."""
        self.in_flight -= 1
        self._served += sent_at >= self._since
        self._pass_time(now)

    def on_failure(self, now: float, *, sent_at: float, is_refused: bool) -> None:
        """The provider refused a request, or failed: it keeps its place for a while."""
        self.in_flight -= 1
        release_at = sent_at + self._reply_seconds
        self._held.append((release_at, sent_at if is_refused else None))
        self._pass_time(now)

    def on_cancelled(self) -> None:
        """Nobody waits for the request any more."""
        self.in_flight -= 1

    def restart(self, now: float) -> None:
        """Refusals are over: go on with half of what went well before them, and up to that soon."""
        self._known = min(self._cap, max(1.0, self._good_limit))
        self._limit = max(1.0, self._known / 2)
        self._held.clear()
        self._begin_anew(now)

    def resize(self, ceiling: int) -> None:
        """Another number of slots. Where nothing ever went wrong the limit follows soon."""
        was_unknown = self._known >= self._cap
        self.ceiling = ceiling
        self._cap = ceiling / (1 - TOLERATED)
        self._known = self._cap if was_unknown else min(self._known, self._cap)
        self._limit = min(self._limit, self._cap)

    def _pass_time(self, now: float) -> None:
        held = self._held
        while held and held[0][0] <= now:
            sent_at = held.popleft()[1]
            if sent_at is None:
                self._served += 1
            elif sent_at >= self._since:
                self._refused += 1
        if now - self._round_began >= self._reply_seconds:
            self._end_round(now)
        if now > self._at:
            self._grow(min(now - self._at, _LONGEST_STEP))
            self._at = now

    def _end_round(self, now: float) -> None:
        outcomes = self._served + self._refused
        self._round_began = now
        tolerated = TOLERATED * outcomes
        if self._refused > tolerated + math.sqrt(tolerated):
            self._decrease(self._refused / outcomes)
            self._begin_anew(now)
        elif outcomes >= _ENOUGH_OUTCOMES:
            self._served = self._refused = 0
            self._peak = self.in_flight + len(self._held)

    def _decrease(self, share: float) -> None:
        used = min(self._limit, max(1.0, float(self._peak)))
        self._limit = max(1.0, min(used - 1, used * max(1 - share, 0.5)))
        is_storm = share > 0.5
        self._known = (self._limit + used) / 2 if is_storm else self._limit

    def _begin_anew(self, now: float) -> None:
        self._since = self._round_began = now
        self._served = self._refused = 0
        self._peak = self.in_flight + len(self._held)
        self._probed_seconds = 0.0

    def _grow(self, seconds: float) -> None:
        held = len(self._held)
        refused = self._refused + held
        if (
            self._limit >= self._cap
            or 2 * (self.in_flight + held) < self._limit
            or refused > TOLERATED * (refused + self._served + self.in_flight)
        ):
            return
        if self._limit < self._known:
            self._limit = min(self._known, self._limit * 2.0 ** (seconds / _DOUBLING_SECONDS))
            return
        self._probed_seconds += seconds
        period = max(_PROBING_SECONDS, _PROBING_ROUND_TRIPS * self._reply_seconds)
        scale = TOLERATED * max(self._known, _SMALLEST_SCALE)
        probed = self._known + scale * (self._probed_seconds / period) ** 3
        self._limit = min(self._cap, max(self._limit, probed))
