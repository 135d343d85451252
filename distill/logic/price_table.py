"""The price table: what models cost, as a document that people read, check and edit.

    as_of: 2026-11-23
    currency: USD
    prices:
      openai:gpt-4o:               # provider:model, as recipes name it
        input_per_million: 2.5
        cached_input_per_million: 1.25
        output_per_million: 10
        source: https://…
      openrouter:qwen/*:           # every model whose name begins so
        …

A model takes the price of the entry with exactly its name; else, where its name ends in a date, of
the entry without the date (`openai:gpt-4o-2024-08-06`, `anthropic:claude-sonnet-4-5-20250929`);
else of the longest name with a `*` that it begins with. A model without any is unpriced.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import Field, field_validator, model_validator

from distill.logic.document_yaml import load_document, write_yaml
from distill.logic.documents import Document
from distill.logic.prices import TokenPrice

_SNAPSHOT = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{8})$")
_SPACE = re.compile(r"\s")
_WEB_ADDRESS = re.compile(r"https?://([^/\s?#]+)\S*$")
_MAX_NAME = 200

Text = Annotated[str, Field(max_length=500)]


class PriceEntry(TokenPrice):
    """A price, where it was found and when; `notes` say what it does not cover."""

    source: Text = ""
    found_on: dt.date | None = None
    notes: Text = ""

    @property
    def source_host(self) -> str:
        """The host of the page that the source names; '' where it is no address of the web."""
        found = _WEB_ADDRESS.match(self.source)
        return found[1] if found else ""

    @property
    def price(self) -> TokenPrice:
        """What it costs, without where that was found."""
        return TokenPrice(
            input_per_million=self.input_per_million,
            cached_input_per_million=self.cached_input_per_million,
            output_per_million=self.output_per_million,
        )


class PriceTable(Document):
    """Prices by model, all in one currency; `as_of` is the day on which they were looked up."""

    as_of: dt.date
    currency: Literal["USD"] = "USD"
    prices: Mapping[str, PriceEntry]

    @field_validator("prices", mode="before")
    @classmethod
    def _refuse_none(cls, given: Any) -> Any:
        return {} if given is None else given  # an empty `prices:` in YAML

    @field_validator("prices")
    @classmethod
    def _sort_by_name(cls, given: Mapping[str, PriceEntry]) -> Mapping[str, PriceEntry]:
        """One order everywhere: the database keeps none, and a difference shows what changed."""
        return dict(sorted(given.items()))

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        for name in self.prices:
            provider, _colon, model = name.partition(":")
            if not provider or not model or _SPACE.search(name) or len(name) > _MAX_NAME:
                raise ValueError(
                    f"prices.{name[:80]}: must be provider:model, such as openai:gpt-4o"
                )
            if "*" in name[:-1]:
                raise ValueError(f"prices.{name}: a * may stand at the end only")
        return self

    def name_for(self, model: str) -> str | None:
        """The name of the entry that a model (`provider:model`) takes its price from, or None."""
        if model in self.prices:
            return model
        undated = _SNAPSHOT.sub("", model)
        if undated in self.prices:
            return undated
        wide = [name for name in self.prices if name.endswith("*") and model.startswith(name[:-1])]
        return max(wide, key=len, default=None)

    def price_of(self, model: str) -> TokenPrice | None:
        """What a model (`provider:model`) costs; None: unpriced."""
        name = self.name_for(model)
        return None if name is None else self.prices[name].price


def load_price_table(text: str) -> PriceTable:
    """The table that a YAML document describes. InputError names line, field and remedy."""
    return load_document(PriceTable, text, what="price table")


def dump_price_table(table: PriceTable) -> str:
    """The table as YAML, without what was left empty; `load_price_table` gives it again."""
    document = table.model_dump(mode="json")
    document["prices"] = {
        name: {field: value for field, value in entry.items() if value not in (None, "")}
        for name, entry in document["prices"].items()
    }
    return write_yaml(document)


def price_table_hash(table: PriceTable) -> str:
    """SHA-256 (hex) over the table as JSON with sorted keys: equal tables, equal hash."""
    content = orjson.dumps(table.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(content).hexdigest()
