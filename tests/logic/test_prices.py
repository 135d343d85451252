from __future__ import annotations

from decimal import ROUND_CEILING, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from distill.logic.prices import (
    FREE,
    OVERHEAD_TOKENS,
    TokenPrice,
    actual_nano,
    num_bytes,
    upper_bound_nano,
    usd,
)
from distill.logic.types import Message, Usage

PRICE = TokenPrice(input_per_million=0.15, output_per_million=0.6)


def test_an_unknown_price_is_unpriced_never_zero():
    assert upper_bound_nano(None, [Message("user", "x")], 10) is None
    assert actual_nano(None, Usage(1, 1)) is None
    assert actual_nano(PRICE, None) is None


def test_offline_models_cost_nothing():
    assert upper_bound_nano(FREE, [Message("user", "x" * 1000)], 1000) == 0
    assert actual_nano(FREE, Usage(1000, 1000)) == 0


def test_the_cost_is_exact_in_nano_dollars():
    # 1,000 × 0.15 $/M + 500 × 0.60 $/M = 0.00045 $
    assert actual_nano(PRICE, Usage(1000, 500)) == 450_000


def test_a_fraction_of_a_nano_dollar_is_rounded_up():
    price = TokenPrice(input_per_million=0.0001, output_per_million=0)
    assert actual_nano(price, Usage(1, 0)) == 1
    assert actual_nano(price, Usage(11, 0)) == 2


def test_the_bound_counts_bytes_and_the_chat_templates_own_tokens():
    messages = [Message("system", "é"), Message("user", "ab")]
    tokens = 2 + 2 + 3 * OVERHEAD_TOKENS
    assert upper_bound_nano(PRICE, messages, 100) == tokens * 150 + 100 * 600


@given(st.lists(st.text(), max_size=4), st.integers(1, 2000), st.data())
def test_no_reply_costs_more_than_was_reserved(texts, max_tokens, data):
    messages = [Message("user", text) for text in texts]
    most = sum(len(text.encode()) for text in texts) + OVERHEAD_TOKENS * len(texts)
    usage = Usage(data.draw(st.integers(0, most)), data.draw(st.integers(0, max_tokens)))
    assert actual_nano(PRICE, usage) <= upper_bound_nano(PRICE, messages, max_tokens)


@pytest.mark.parametrize("price", [-0.1, float("nan"), float("inf"), 1_000_001])
def test_a_price_that_cannot_be_is_refused(price):
    with pytest.raises(ValidationError):
        TokenPrice(input_per_million=price, output_per_million=1)


def test_a_lone_surrogate_does_not_break_the_bound():
    assert upper_bound_nano(PRICE, [Message("user", "\ud800")], 1) is not None


# --- whole numbers against exact decimals ---

DOLLARS = st.floats(0, 1e6) | st.sampled_from([0.15, 0.075, 1.1, 0.0375, 2.5, 1e-7, 5e-324])
TOKENS = st.integers(0, 2_000_000)


def exactly(parts: list[tuple[float, int]]) -> int:
    with localcontext(prec=800):  # the smallest float has 324 places
        dollars = sum((Decimal(str(price)) * tokens for price, tokens in parts), Decimal(0))
        return int((dollars * 1000).to_integral_value(rounding=ROUND_CEILING))


@given(DOLLARS, DOLLARS, TOKENS, TOKENS, st.floats(0, 1), st.floats(0, 1))
def test_a_cost_is_exact_to_the_nano_dollar(given_in, given_out, prompt, completion, share, hits):
    cached_price, cached = given_in * share, int(prompt * hits)
    price = TokenPrice(
        input_per_million=given_in,
        output_per_million=given_out,
        cached_input_per_million=cached_price,
    )
    usage = Usage(prompt, completion, cached_tokens=cached)
    expected = exactly(
        [(given_in, prompt - cached), (cached_price, cached), (given_out, completion)]
    )
    assert actual_nano(price, usage) == expected


@given(DOLLARS, DOLLARS, st.lists(st.text(), max_size=4), st.integers(1, 2000), st.integers(0, 999))
def test_a_bound_is_exact_to_the_nano_dollar(given_in, given_out, texts, max_tokens, extra):
    price = TokenPrice(input_per_million=given_in, output_per_million=given_out)
    messages = [Message("user", text) for text in texts]
    tokens = sum(num_bytes(text) for text in texts) + OVERHEAD_TOKENS * (len(texts) + 1) + extra
    bound = upper_bound_nano(price, messages, max_tokens, extra_bytes=extra)
    assert bound == exactly([(given_in, tokens), (given_out, max_tokens)])


def test_cached_tokens_cost_as_much_as_others_where_no_price_says_otherwise():
    assert actual_nano(PRICE, Usage(1000, 0, cached_tokens=400)) == actual_nano(
        PRICE, Usage(1000, 0)
    )


def test_more_cached_tokens_than_prompt_tokens_give_nothing_back():
    price = TokenPrice(input_per_million=2, cached_input_per_million=0.5, output_per_million=0)
    assert actual_nano(price, Usage(10, 0, cached_tokens=99)) == 10 * 500


def test_cached_input_that_costs_more_than_other_input_is_refused():
    with pytest.raises(ValidationError, match="more than input_per_million"):
        TokenPrice(input_per_million=1, cached_input_per_million=2, output_per_million=1)


def test_what_travels_beside_the_messages_is_reserved_for():
    messages = [Message("user", "x")]
    without = upper_bound_nano(PRICE, messages, 10)
    assert upper_bound_nano(PRICE, messages, 10, extra_bytes=100) == without + 100 * 150


@pytest.mark.parametrize(
    ("nano", "text"),
    [(0, "$0"), (12_500_000, "$0.0125"), (1, "$0.000000001"), (20_000_000_000, "$20")],
)
def test_dollars_are_written_exactly(nano, text):
    assert usd(nano) == text
