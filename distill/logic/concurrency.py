"""How many requests may be in flight at once: found out, never known."""

from __future__ import annotations

import math
from collections import deque

_FIRST = 32.0
_DOUBLING_SECONDS = 0.5
_LONGEST_STEP = 1.0
TOLERATED = 0.08
"""A share of refusals up to this lowers nothing."""
_STORM = 0.5
_FUTILE_ROUNDS = 2
_HALF_LIFE_SECONDS = 60.0
_FEWEST_OUTCOMES = 10
_ENOUGH_OUTCOMES = 50
_SMALLEST_SCALE = 5.0
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
    the refused are more than the tolerated share p = 8 % of n outcomes and one standard deviation,
    p n + √(p n), the limit becomes W · max(1 − share, ½): proportional to the share and at most by
    half as in DCTCP (Alizadeh 2010, RFC 8257). Random refusals of a few per cent change nothing;
    the places they hold are made up for by up to 1 / (1 − p) times as many places as requests.

    **Futile decreases.** If this worker's limit is the reason, a decrease ends the refusals. Where
    more than half of them are left two rounds later, they have another reason (a gateway's other
    customers), which asking less does not remedy: the decreases are undone, and that share
    (`background`) is tolerated too. It halves each minute, so that the question is put again.

    **Increase**, while at least half of the places are taken (RFC 7661) and refusals tolerable. Up
    to `known`, where it last went wrong: twice as many each half second (slow start up to a
    threshold, RFC 5681). Above: known + p · max(known, 5) · (t / T)³, flat at first and ever
    faster (CUBIC's probing, RFC 9438), T being 15 s or ten round trips. `known` is the new limit
    after a decrease; after a storm, refusals of more than half, it lies half way back.
    """

    __slots__ = (
        "_at", "_background", "_cap", "_futile_rounds", "_good_limit", "_held", "_is_suspended",
        "_known", "_known_before", "_limit", "_num_latencies", "_peak", "_probed_seconds",
        "_refused", "_reply_seconds", "_round_began", "_served", "_share_before", "_since",
        "ceiling", "in_flight",
    )  # fmt: skip

    def __init__(self, *, ceiling: int, remembered: float | None, now: float) -> None:
        self.ceiling = ceiling
        self.in_flight = 0
        self._cap = _most_places(ceiling)
        self._known = self._cap
        self._limit = min(_FIRST, float(ceiling))
        if remembered is not None and 1 <= remembered < ceiling:
            self._known = float(remembered)
            self._limit = min(_FIRST, max(1.0, remembered / 2))
        self._good_limit = 2 * self._limit
        self._is_suspended = False
        self._known_before = self._known
        self._background = self._share_before = 0.0
        self._futile_rounds = 0
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
        return min(self._limit, max(1.0, float(self.ceiling)))

    @property
    def good_limit(self) -> float:
        """The limit when the last good reply came; until then a guess."""
        return min(self._good_limit, float(self.ceiling))

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
        if not self._is_suspended:
            self._good_limit = self._limit
        self.on_other(now, sent_at=sent_at)

    def on_other(self, now: float, *, sent_at: float) -> None:
        """The provider dealt with a request, well or badly, but did not refuse it."""
        self._pass_time(now)
        self.in_flight -= 1
        self._served += sent_at >= self._since

    def on_failure(self, now: float, *, sent_at: float, is_refused: bool) -> None:
        """The provider refused a request, or failed: it keeps its place for a while."""
        self._pass_time(now)
        self.in_flight -= 1
        release_at = sent_at + self._reply_seconds
        self._held.append((release_at, sent_at if is_refused else None))

    def on_cancelled(self, now: float) -> None:
        """Nobody waits for the request any more."""
        self._pass_time(now)
        self.in_flight -= 1

    def suspend(self) -> None:
        """Nothing but probes leaves from now on: what becomes of them says nothing of the limit."""
        self._is_suspended = True

    def restart(self, now: float) -> None:
        """Go on with half of the limit at the last good reply before `suspend`; it is `known`."""
        self._is_suspended = False
        self._known = min(self._cap, max(1.0, self._good_limit))
        self._limit = max(1.0, self._known / 2)
        self._share_before = 0.0
        self._futile_rounds = 0
        self._held.clear()
        self._begin_anew(now)

    def resize(self, ceiling: int) -> None:
        """Another number of slots. Where nothing ever went wrong the limit follows soon."""
        was_unknown = self._known >= self._cap
        self.ceiling = ceiling
        self._cap = _most_places(ceiling)
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
        if now - self._round_began >= self._reply_seconds and not self._is_suspended:
            self._end_round(now)
        if now > self._at:
            self._grow(min(now - self._at, _LONGEST_STEP))
            self._at = now

    def _end_round(self, now: float) -> None:
        outcomes = self._served + self._refused
        self._background *= 0.5 ** ((now - self._round_began) / _HALF_LIFE_SECONDS)
        self._round_began = now
        tolerated = self._tolerated * outcomes
        allowed = tolerated + math.sqrt(tolerated)
        is_too_much = outcomes >= _FEWEST_OUTCOMES and self._refused > allowed
        if not is_too_much and outcomes < _ENOUGH_OUTCOMES:
            return
        share = self._refused / outcomes
        if self._is_futile(share):
            self._undo(share)
            self._begin_anew(now)
        elif is_too_much:
            self._decrease(share)
            self._begin_anew(now)
        else:
            self._served = self._refused = 0
            self._peak = self.in_flight + len(self._held)

    @property
    def _tolerated(self) -> float:
        return self._background + TOLERATED * (1 - self._background)

    def _is_futile(self, share: float) -> bool:
        """Two rounds after a decrease, more than half of the refusals are still there."""
        if share > self._share_before / 2:
            self._futile_rounds += self._share_before > 0
        else:
            self._share_before = 0.0
            self._futile_rounds = 0
        return self._futile_rounds >= _FUTILE_ROUNDS

    def _undo(self, share: float) -> None:
        # The limit comes back up to `known` by itself.
        self._known = min(self._cap, self._known_before)
        self._background = min(share, _STORM)
        self._share_before = 0.0
        self._futile_rounds = 0

    def _decrease(self, share: float) -> None:
        used = min(self._limit, max(1.0, float(self._peak)))
        excess = (share - self._background) / (1 - self._background)
        is_storm = share > _STORM
        if not self._share_before:
            self._known_before = max(used, self._known)
        self._share_before = 0.0 if is_storm else max(share, self._share_before)
        self._limit = max(1.0, min(used - 1, used * max(1 - excess, 0.5)))
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
            or refused > 2 * self._tolerated * (refused + self._served + self.in_flight)
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


def _most_places(ceiling: int) -> float:
    """So many that `ceiling` are left beside those that tolerable refusals hold."""
    return max(1.0, ceiling / (1 - TOLERATED))
