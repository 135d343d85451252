"""What a request may cost, and what it did cost, in whole nano-dollars.

1 nano-dollar = 1e-9 USD. Whole numbers add up without drift, and one token at 0.01 USD per million
still costs 10 of them. None always means "unpriced", never zero.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from math import lcm
from typing import Annotated, NamedTuple, Self

from pydantic import model_validator

from distill.logic.documents import Document, between
from distill.logic.types import Message, Usage

OVERHEAD_TOKENS = 16
"""Tokens that a chat template may add per message and once per request (role names, marks)."""

Price = Annotated[float, between(0, 1_000_000)]


class Rates(NamedTuple):
    """A price as whole numbers: nano-dollars per token, each over the same `denominator`."""

    input: int
    cached_input: int
    output: int
    denominator: int


class TokenPrice(Document):
    """USD per million tokens. Without `cached_input_per_million` cached input costs as other input.

    Cached input may not cost more than other input: upper bounds reckon without the cache.
    """

    input_per_million: Price
    cached_input_per_million: Price | None = None
    output_per_million: Price

    @model_validator(mode="after")
    def _check_cached(self) -> Self:
        cached = self.cached_input_per_million
        if cached is not None and cached > self.input_per_million:
            raise ValueError(
                f"cached_input_per_million is {cached}, more than input_per_million "
                f"({self.input_per_million})"
            )
        return self

    @cached_property
    def rates(self) -> Rates:
        """The price in whole numbers, reckoned once, so that no call reckons with decimals."""
        cached = self.cached_input_per_million
        dollars = (
            self.input_per_million,
            self.input_per_million if cached is None else cached,
            self.output_per_million,
        )
        # str() gives the number as it was written: 0.15, not 0.1499999999999999944…
        nano = [Fraction(Decimal(str(price))) * 1000 for price in dollars]
        denominator = lcm(*(part.denominator for part in nano))
        whole = [int(part * denominator) for part in nano]
        return Rates(whole[0], whole[1], whole[2], denominator)


FREE = TokenPrice(input_per_million=0, output_per_million=0)


def upper_bound_nano(
    price: TokenPrice | None,
    messages: Iterable[Message],
    max_tokens: int,
    *,
    extra_bytes: int = 0,
) -> int | None:
    """The most that a request can cost: what is reserved before it is sent.

    Byte-level tokenizers never make more tokens than a text has UTF-8 bytes; `OVERHEAD_TOKENS`
    covers the chat template; `extra_bytes` is the size of whatever else the model is given to read,
    such as a JSON schema. Nothing is taken to be cached. Providers never write more than
    `max_tokens`, thoughts included, which is why it has to be given: a recipe always has one.
    """
    if price is None:
        return None
    input_tokens = OVERHEAD_TOKENS + extra_bytes
    for message in messages:
        input_tokens += OVERHEAD_TOKENS + num_bytes(message.content)
    rates = price.rates
    return -((-input_tokens * rates.input - max_tokens * rates.output) // rates.denominator)


def actual_nano(price: TokenPrice | None, usage: Usage | None) -> int | None:
    """What a reply cost by the provider's own count; None where price or count is unknown.

    Cached tokens are among the prompt's, thoughts among the completion's: `Usage` says so, and
    `teachers` sees to it for providers that count otherwise.
    """
    if price is None or usage is None:
        return None
    rates = price.rates
    cached = min(usage.cached_tokens, usage.prompt_tokens)
    dearer = usage.prompt_tokens - cached
    parts = (
        dearer * rates.input + cached * rates.cached_input + usage.completion_tokens * rates.output
    )
    return -(-parts // rates.denominator)


def num_bytes(text: str) -> int:
    """The text's size in UTF-8; half a surrogate pair counts as the three bytes it would take."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def usd(nano: int) -> str:
    """The amount in US dollars, exactly, for logs and messages: $0.0125."""
    return f"${Decimal(nano).scaleb(-9).normalize():f}"
