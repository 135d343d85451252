"""What goes wrong on purpose, and when: chosen by seed, request and how often it was seen.

A retry of the same request is rolled anew, so a fault goes away as it would in life; the same
requests in the same order meet the same faults on every machine.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from distill.logic.errors import InputError


class Fault(StrEnum):
    """Every way in which the offline teacher can fail."""

    RATE_LIMITED = "rate_limited"
    SERVER = "server"
    UNAVAILABLE = "unavailable"
    RESET = "reset"
    SLOW = "slow"
    TRUNCATED = "truncated"
    REFUSAL = "refusal"
    BROKEN_JSON = "broken_json"
    MISSING_FIELD = "missing_field"
    CITATIONS = "citations"
    BROKEN_ENVELOPE = "broken_envelope"
    EMPTY = "empty"
    HANG = "hang"

    @property
    def is_billed(self) -> bool:
        """A completion was produced, so a real provider would charge for it."""
        return self not in _NOT_BILLED


_NOT_BILLED = (Fault.RATE_LIMITED, Fault.SERVER, Fault.UNAVAILABLE, Fault.RESET, Fault.HANG)

PRESETS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "none": {},
        "moderate": {
            "rate_limited": 0.05,
            "server": 0.02,
            "unavailable": 0.01,
            "reset": 0.01,
            "slow": 0.01,
            "truncated": 0.02,
            "refusal": 0.01,
            "broken_json": 0.02,
            "missing_field": 0.01,
            "citations": 0.05,
            "broken_envelope": 0.01,
            "empty": 0.01,
        },
    }
)
NUMBERS = ("seed", "retry_after", "slow_seconds", "rpm", "capacity")


@dataclass(frozen=True, slots=True)
class Faults:
    """Shares of requests (0 to 1) that meet each fault; `retry_after`, `slow_seconds` in seconds.

    `rpm` and `capacity` are limits that hold for all: requests a minute (told in headers, as OpenAI
    does), and requests at once. What is above them gets a 429; 0 is no limit.
    """

    rates: Mapping[Fault, float] = field(default_factory=dict)
    seed: int = 0
    retry_after: float = 1.0
    slow_seconds: float = 8.0
    rpm: float = 0.0
    capacity: float = 0.0

    def choose(self, request_hash: str, seen: int) -> Fault | None:
        """The fault for this request, which was seen `seen` times before; None for a good reply."""
        roll = _roll(f"{self.seed}/{request_hash}/{seen}")
        for fault, rate in self.rates.items():
            roll -= rate
            if roll < 0:
                return fault
        return None


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds before each reply: `median`, spread log-normally by `sigma` (0: always the same)."""

    median: float = 0.0
    sigma: float = 0.0

    def seconds(self, request_hash: str, seen: int) -> float:
        """How long this request takes; the same on every machine."""
        if not self.sigma:
            return self.median
        one, two = _roll(f"one/{request_hash}/{seen}"), _roll(f"two/{request_hash}/{seen}")
        normal = math.sqrt(-2 * math.log(1 - one)) * math.cos(math.tau * two)
        return self.median * math.exp(self.sigma * normal)


def parse_faults(text: str) -> Faults:
    """Read `moderate`, `rate_limited=0.05,server=0.02,seed=7` or `moderate,citations=0.2`.

    Raises InputError that names the part it does not understand.
    """
    values: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, typed = part.partition("=")
        if not equals and name in PRESETS:
            values |= PRESETS[name]
        else:
            values[name.strip()] = _parse_value(name.strip(), typed)
    rates = {Fault(name): value for name, value in values.items() if name not in NUMBERS}
    if any(not 0 <= rate <= 1 for rate in rates.values()) or sum(rates.values()) > 1 + 1e-9:
        raise InputError("each rate of a fault lies between 0 and 1, and so does their sum")
    numbers = {name: value for name, value in values.items() if name in NUMBERS}
    seed = int(numbers.pop("seed", 0))
    return Faults(rates=rates, seed=seed, **numbers)


def parse_latency(text: str) -> Latency:
    """Read `0.5` (seconds, always) or `lognormal:1.0` / `lognormal:1.0:0.7` (median, sigma).

    Raises InputError where it is neither.
    """
    kind, _, rest = text.strip().partition(":")
    try:
        if kind != "lognormal":
            return _checked_latency(Latency(float(text)))
        median, _, sigma = rest.partition(":")
        return _checked_latency(Latency(float(median), float(sigma or 1.0)))
    except ValueError as error:
        raise InputError(
            f"a latency is seconds (0.5) or lognormal:MEDIAN[:SIGMA], not {text!r}"
        ) from error


def _checked_latency(latency: Latency) -> Latency:
    if not (0 <= latency.median <= 3600 and 0 <= latency.sigma <= 5):
        raise ValueError("out of range")
    return latency


def _parse_value(name: str, typed: str) -> float:
    if name not in NUMBERS and name not in list(Fault):
        known = ", ".join([*PRESETS, *Fault, *NUMBERS])
        raise InputError(f"there is no fault {name!r}: known are {known}")
    try:
        value = float(typed)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise InputError(f"write a number for {name}: {name}=0.05")
    return value


def _roll(text: str) -> float:
    """A number in [0, 1) that follows from `text` alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64
