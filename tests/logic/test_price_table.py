"""The price table: which entry a model takes its price from, and the document on paper."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.logic.errors import InputError
from distill.logic.price_table import (
    PriceEntry,
    PriceTable,
    dump_price_table,
    load_price_table,
    price_table_hash,
)
from distill.logic.prices import TokenPrice

PRICES = st.floats(0, 1e6)
ENTRIES = st.builds(
    PriceEntry,
    input_per_million=PRICES,
    output_per_million=PRICES,
    source=st.sampled_from(["", "https://example.org/prices"]),
    found_on=st.none() | st.dates(),
    notes=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=50),
)
NAMES = st.from_regex(r"[a-z]{1,8}:[a-z0-9./-]{1,20}\*?", fullmatch=True)
TABLES = st.builds(PriceTable, as_of=st.dates(), prices=st.dictionaries(NAMES, ENTRIES, max_size=4))


def table(**inputs: float) -> PriceTable:
    return PriceTable(
        as_of=dt.date(2026, 11, 23),
        prices={
            name: PriceEntry(input_per_million=price, output_per_million=0)
            for name, price in inputs.items()
        },
    )


OPENAI = table(
    **{
        "openai:gpt-4o": 2.5,
        "openai:gpt-4o-2024-05-13": 5,
        "openai:gpt-*": 9,
        "openai:gpt-4o-a*": 7,
        "anthropic:claude-sonnet-4-5": 3,
    }
)


@pytest.mark.parametrize(
    ("model", "price"),
    [
        ("openai:gpt-4o", 2.5),
        ("openai:gpt-4o-2024-08-06", 2.5),
        ("openai:gpt-4o-2024-05-13", 5),
        ("openai:gpt-4o-mini", 9),
        ("openai:gpt-4o-audio-preview", 7),
        ("anthropic:claude-sonnet-4-5-20250929", 3),
        ("anthropic:claude-sonnet-4", None),
        ("openai:o3", None),
        ("openrouter:openai/gpt-4o", None),
    ],
)
def test_a_name_is_matched_exactly_then_without_its_date_then_by_the_longest_beginning(
    model, price
):
    found = OPENAI.price_of(model)
    assert (found and found.input_per_million) == price


def test_the_price_of_an_entry_is_a_plain_price():
    assert OPENAI.price_of("openai:gpt-4o") == TokenPrice(
        input_per_million=2.5, output_per_million=0
    )


@given(TABLES)
def test_a_table_comes_back_from_its_yaml(given_table):
    again = load_price_table(dump_price_table(given_table))
    assert again == given_table
    assert price_table_hash(again) == price_table_hash(given_table)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("gpt-4o: {input_per_million: 1, output_per_million: 1}", "provider:model"),
        ("openai:g*t: {input_per_million: 1, output_per_million: 1}", "at the end only"),
        ("openai:x: {input_per_milion: 1, output_per_million: 1}", "line 3"),
        ("openai:x: {input_per_million: free, output_per_million: 1}", "line 3"),
        ("openai:x: {input_per_million: -1, output_per_million: 1}", "out of range"),
    ],
)
def test_a_bad_entry_is_named_with_its_line(line, told):
    with pytest.raises(InputError) as refused:
        load_price_table(f"as_of: 2026-11-23\nprices:\n  {line}\n")
    assert told in str(refused.value)


def test_another_currency_is_refused():
    with pytest.raises(InputError, match="currency"):
        load_price_table("as_of: 2026-11-23\ncurrency: EUR\nprices: {}\n")


def test_an_empty_table_is_a_table():
    assert load_price_table("as_of: 2026-11-23\nprices:\n").prices == {}
