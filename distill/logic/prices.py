"""What a request may cost, and what it did cost, in whole nano-dollars.

1 nano-dollar = 1e-9 USD. Whole numbers add up without drift, and one token at 0.01 USD per million
still costs 10 of them. None always means "unpriced", never zero.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_CEILING, Decimal
from typing import Annotated

from distill.logic.documents import Document, between
from distill.logic.types import Message, Usage

OVERHEAD_TOKENS = 16
"""Tokens that a chat template may add per message and once per request (role names, marks)."""

Price = Annotated[float, between(0, 1_000_000)]


class TokenPrice(Document):
    """USD per million tokens."""

    input_per_million: Price
    output_per_million: Price


FREE = TokenPrice(input_per_million=0, output_per_million=0)


def upper_bound_nano(
    price: TokenPrice | None, messages: Iterable[Message], max_tokens: int
) -> int | None:
    """The most that a request can cost: what is reserved before it is sent.

    Byte-level tokenizers never make more tokens than a text has UTF-8 bytes; `OVERHEAD_TOKENS`
    covers the chat template; providers never write more than `max_tokens`.
    """
    sizes = [len(item.content.encode("utf-8", "surrogatepass")) for item in messages]
    input_tokens = sum(sizes) + OVERHEAD_TOKENS * (len(sizes) + 1)
    return _nano(price, input_tokens, max_tokens)


def actual_nano(price: TokenPrice | None, usage: Usage | None) -> int | None:
    """What a reply cost by the provider's own count; None where price or count is unknown."""
    if usage is None:
        return None
    return _nano(price, usage.prompt_tokens, usage.completion_tokens)


def _nano(price: TokenPrice | None, input_tokens: int, output_tokens: int) -> int | None:
    if price is None:
        return None
    # str() gives the number as it was written: 0.15, not 0.1499999999999999944…
    dollars_per_million = (
        Decimal(str(price.input_per_million)) * input_tokens
        + Decimal(str(price.output_per_million)) * output_tokens
    )
    return int((dollars_per_million * 1000).to_integral_value(rounding=ROUND_CEILING))
