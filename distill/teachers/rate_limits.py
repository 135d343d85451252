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

_Names = tuple[str, str, str]
"""The headers of a limit, of what remains of it and of its reset."""


def _openai(what: str) -> _Names:
    start = "x-ratelimit"
    return (f"{start}-limit-{what}", f"{start}-remaining-{what}", f"{start}-reset-{what}")


def _anthropic(what: str) -> _Names:
    start = f"anthropic-ratelimit-{what}"
    return (f"{start}-limit", f"{start}-remaining", f"{start}-reset")


# Requests, tokens of both kinds, input tokens, output tokens.
_KINDS = ("requests", "tokens", "input-tokens", "output-tokens")
_OPENAI = tuple(_openai(what) for what in _KINDS)
_ANTHROPIC = tuple(_anthropic(what) for what in _KINDS)
_PLAIN: _Names = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
_OPENAI_PROBES = tuple(limit for limit, *_ in (*_OPENAI, _PLAIN))
_ANTHROPIC_PROBES = tuple(limit for limit, *_ in _ANTHROPIC[:2])


def read_rate_limits(headers: Mapping[str, str], *, now: float) -> RateLimits | None:
    """The limits that `headers` tell, or None where they are silent.

    `now` is the Unix time in seconds, for resets that are a moment and not a length of time. A
    value that cannot be read is left out; nothing is raised.
    """
    names = _family_of(headers)
    if names is None:
        return None
    requests, both, own_input, own_output = (_read(headers, kind, now) for kind in names)
    if requests is _UNKNOWN:
        # Nobody says what its window is, so its limit is not told.
        plain = _read(headers, _PLAIN, now)
        requests = Allowance(None, plain.remaining, plain.reset_seconds)
    return RateLimits(
        requests=requests,
        input_tokens=both if own_input is _UNKNOWN else own_input,
        output_tokens=both if own_output is _UNKNOWN else own_output,
    )


def _family_of(headers: Mapping[str, str]) -> tuple[_Names, ...] | None:
    # Written out: this is asked of every reply, mostly in vain.
    for name in _OPENAI_PROBES:
        if name in headers:
            return _OPENAI
    for name in _ANTHROPIC_PROBES:
        if name in headers:
            return _ANTHROPIC
    return None


def _read(headers: Mapping[str, str], names: _Names, now: float) -> Allowance:
    limit, remaining, reset = headers.get(names[0]), headers.get(names[1]), headers.get(names[2])
    if limit is None and remaining is None and reset is None:
        return _UNKNOWN
    return _allowance(limit, remaining, _seconds_until(reset, now))


def _allowance(limit: str | None, remaining: str | None, reset: float | None) -> Allowance:
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
