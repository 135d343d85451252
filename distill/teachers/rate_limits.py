"""What a provider's headers say of its rate limits.

    x-ratelimit-limit-requests, -remaining-, -reset-      OpenAI, Groq, Azure, vLLM proxies
        the same with -tokens, -input-tokens, -output-tokens
    anthropic-ratelimit-requests-limit, -remaining, -reset
        the same with -tokens, -input-tokens, -output-tokens
    x-ratelimit-limit, -remaining, -reset                 OpenRouter (with errors), Together

A limit on tokens of both kinds together stands for either, where the provider does not tell them
apart: it bounds both. A limit whose window is longer than a minute (Groq's requests are a day's)
comes without its number, because it says nothing about a minute; what remains of it is still told.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from distill.logic.types import Allowance, RateLimits
from distill.teachers.durations import read_duration, read_number

_MAX_RESET = 24 * 3600.0
# A minute's limit is whole again after a minute at most, in a bucket as in a fixed window.
_MINUTE = 60.5
_UNIX_MILLISECONDS = 1e11
_UNIX_SECONDS = 1e8

_UNKNOWN = Allowance()
_PROBES = (
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-limit-input-tokens",
    "x-ratelimit-limit",
    "anthropic-ratelimit-requests-limit",
    "anthropic-ratelimit-tokens-limit",
)


def read_rate_limits(headers: Mapping[str, str], *, now: float) -> RateLimits | None:
    """The limits that `headers` tell, or None where they are silent.

    `now` is the Unix time in seconds, for resets that are a moment and not a length of time. A
    value that cannot be read is left out; nothing is raised.
    """
    if not any(name in headers for name in _PROBES):
        return None
    family = _read_anthropic if _PROBES[4] in headers or _PROBES[5] in headers else _read_openai
    tokens = family(headers, "tokens", now)
    limits = RateLimits(
        requests=family(headers, "requests", now),
        input_tokens=_either(family(headers, "input-tokens", now), tokens),
        output_tokens=_either(family(headers, "output-tokens", now), tokens),
    )
    if limits.requests == _UNKNOWN:
        limits = RateLimits(_read_plain(headers, now), limits.input_tokens, limits.output_tokens)
    return limits


def _either(own: Allowance, both: Allowance) -> Allowance:
    return both if own == _UNKNOWN else own


def _read_openai(headers: Mapping[str, str], what: str, now: float) -> Allowance:
    return _allowance(
        headers.get(f"x-ratelimit-limit-{what}"),
        headers.get(f"x-ratelimit-remaining-{what}"),
        _seconds_until(headers.get(f"x-ratelimit-reset-{what}"), now),
    )


def _read_anthropic(headers: Mapping[str, str], what: str, now: float) -> Allowance:
    return _allowance(
        headers.get(f"anthropic-ratelimit-{what}-limit"),
        headers.get(f"anthropic-ratelimit-{what}-remaining"),
        _seconds_until(headers.get(f"anthropic-ratelimit-{what}-reset"), now),
    )


def _read_plain(headers: Mapping[str, str], now: float) -> Allowance:
    """Nobody says what its window is, so its limit is not told."""
    reset = _seconds_until(headers.get("x-ratelimit-reset"), now)
    return _allowance(None, headers.get("x-ratelimit-remaining"), reset)


def _allowance(limit: str | None, remaining: str | None, reset: float | None) -> Allowance:
    if limit is None and remaining is None and reset is None:
        return _UNKNOWN
    is_per_minute = reset is None or reset <= _MINUTE
    whole = _positive(limit, least=1.0) if is_per_minute else None
    return Allowance(limit=whole, remaining=_positive(remaining, least=0.0), reset_seconds=reset)


def _positive(text: str | None, *, least: float) -> float | None:
    """The number, or None; some send -1 for "no limit"."""
    value = read_number(text)
    return value if value is not None and value >= least else None


def _seconds_until(text: str | None, now: float) -> float | None:
    if not text:
        return None
    number = read_number(text)
    if number is None:
        seconds = read_duration(text) if "T" not in text else _until_moment(text, now)
    elif number >= _UNIX_MILLISECONDS:
        seconds = number / 1000 - now
    else:
        seconds = number - now if number >= _UNIX_SECONDS else number
    return None if seconds is None else min(max(seconds, 0.0), _MAX_RESET)


def _until_moment(text: str, now: float) -> float | None:
    """The seconds until a moment written by RFC 3339."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.timestamp() - now if moment.tzinfo else None
    except (ValueError, OverflowError, OSError):
        return None
