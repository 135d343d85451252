"""Rate limits as providers' headers tell them; headers are never trusted."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from multidict import CIMultiDict

from distill.logic.types import Allowance, RateLimits
from distill.teachers.rate_limits import read_rate_limits
from distill.teachers.retry_after import read_retry_after

NOW = 1_755_780_000.0  # 2025-08-21T12:40:00Z

OPENAI = {
    "x-ratelimit-limit-requests": "5000",
    "x-ratelimit-limit-tokens": "160000",
    "x-ratelimit-remaining-requests": "4999",
    "x-ratelimit-remaining-tokens": "159976",
    "x-ratelimit-reset-requests": "12ms",
    "x-ratelimit-reset-tokens": "9ms",
}
ANTHROPIC = {
    "anthropic-ratelimit-input-tokens-limit": "80000",
    "anthropic-ratelimit-input-tokens-remaining": "79000",
    "anthropic-ratelimit-input-tokens-reset": "2025-08-21T12:40:30Z",
    "anthropic-ratelimit-output-tokens-limit": "16000",
    "anthropic-ratelimit-output-tokens-remaining": "16000",
    "anthropic-ratelimit-output-tokens-reset": "2025-08-21T12:39:59Z",
    "anthropic-ratelimit-requests-limit": "1000",
    "anthropic-ratelimit-requests-remaining": "999",
    "anthropic-ratelimit-requests-reset": "2025-08-21T14:41:00+02:00",
    "anthropic-ratelimit-tokens-limit": "96000",
}


def read(headers: dict[str, str]) -> RateLimits | None:
    return read_rate_limits(CIMultiDict(headers), now=NOW)


def test_openai_counts_both_kinds_of_tokens_together():
    tokens = Allowance(160_000, 159_976, 9 * 0.001)
    assert read(OPENAI) == RateLimits(Allowance(5000, 4999, 0.012), tokens, tokens)


def test_anthropic_tells_them_apart_and_names_moments():
    assert read(ANTHROPIC) == RateLimits(
        requests=Allowance(1000, 999, 60.0),
        input_tokens=Allowance(80_000, 79_000, 30.0),
        output_tokens=Allowance(16_000, 16_000, 0.0),
    )


def test_a_days_limit_says_nothing_about_a_minute():
    groq = OPENAI | {
        "x-ratelimit-limit-requests": "14400",
        "x-ratelimit-remaining-requests": "14370",
        "x-ratelimit-reset-requests": "2m59.56s",
    }
    limits = read(groq)
    assert limits is not None
    assert limits.requests == Allowance(None, 14_370, 179.56)
    assert limits.input_tokens.limit == 160_000


def test_openrouters_moment_is_in_milliseconds():
    limits = read(
        {
            "X-RateLimit-Limit": "20",
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": str(int((NOW + 42) * 1000)),
        }
    )
    assert limits == RateLimits(requests=Allowance(None, 0, 42.0))


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("20ms", 0.02),
        ("0s", 0.0),
        ("1h2m3.5s", 3723.5),
        ("7", 7.0),
        ("0", 0.0),
        (str(NOW + 5), 5.0),
        ("2025-08-21T12:40:05.5Z", 5.5),
        ("2025-08-21T12:40:05", None),
        ("soon", None),
        ("-5", 0.0),
        ("9" * 14, 86_400.0),
        ("9" * 100, None),
        ("nan", None),
        ("", None),
    ],
)
def test_each_form_of_a_reset_is_read(reset: str, seconds: float | None):
    limits = read({"x-ratelimit-limit-requests": "10", "x-ratelimit-reset-requests": reset})
    assert limits is not None
    assert limits.requests.reset_seconds == (
        None if seconds is None else pytest.approx(seconds, abs=0.01)
    )


def test_minus_one_is_no_limit():
    limits = read({"x-ratelimit-limit-tokens": "-1", "x-ratelimit-remaining-tokens": "-1"})
    assert limits is not None
    assert limits.input_tokens == Allowance()


def test_silent_headers_tell_nothing():
    assert read({}) is None
    assert read({"Content-Type": "application/json"}) is None


HEADERS = st.dictionaries(
    st.sampled_from([*OPENAI, *ANTHROPIC, "x-ratelimit-limit", "x-ratelimit-reset", "retry-after"]),
    st.one_of(
        st.text(max_size=80),
        st.from_regex(r"[-+]?[0-9.eE]{1,40}[a-z]{0,3}", fullmatch=True),
        st.from_regex(r"[0-9]{1,4}-[0-9]{1,2}-[0-9]{1,2}T[0-9:.]{1,12}(Z|[+-][0-9:]{1,8})?"),
        st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    ),
)


@given(HEADERS)
@example({"x-ratelimit-limit-tokens": "1e308", "x-ratelimit-reset-tokens": "0001-01-01T00:00:00Z"})
@example({"x-ratelimit-limit-tokens": "5", "x-ratelimit-reset-tokens": "9999-12-31T23:59:59-23:59"})
@example({"x-ratelimit-limit-tokens": "²", "x-ratelimit-reset-tokens": "1e999s"})
def test_hostile_headers_raise_nothing_and_give_no_nonsense(headers: dict[str, str]):
    limits = read(headers)
    retry_after = read_retry_after(headers, b"", now=NOW)
    assert retry_after is None or 0 <= retry_after <= 86_400
    if limits is None:
        return
    for allowance in (limits.requests, limits.input_tokens, limits.output_tokens):
        assert allowance.limit is None or (allowance.limit >= 1 and math.isfinite(allowance.limit))
        assert allowance.remaining is None or allowance.remaining >= 0
        assert allowance.reset_seconds is None or 0 <= allowance.reset_seconds <= 86_400
