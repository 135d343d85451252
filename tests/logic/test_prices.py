from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from distill.logic.prices import FREE, OVERHEAD_TOKENS, TokenPrice, actual_nano, upper_bound_nano
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
