"""What the models of a run or a recipe cost: the recipe's own prices first, then the price list's."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from django.db.models import QuerySet

from distill.logic.errors import InputError
from distill.logic.price_table import PriceTable, dump_price_table, load_price_table
from distill.logic.prices import FREE, TokenPrice
from distill.logic.recipe import Recipe
from distill.models import PriceList, Run
from distill.queries.recipes import DiffLine, diff_texts
from distill.teachers.registry import canonical_name, is_free

SHIPPED = Path(__file__).parent.parent / "prices.yaml"
MOST_VERSIONS = 100
"""So many are listed; older ones have their address still."""


def prices_of(run: Run) -> dict[str, TokenPrice | None]:
    """What each model that the run's recipe names costs; None: unpriced.

    A run keeps the price list that it was made with; one without any knows its recipe's prices.
    """
    return prices_by_name(run.recipe.content, table_of(run.price_list))


def prices_by_name(recipe: Recipe, table: PriceTable | None) -> dict[str, TokenPrice | None]:
    """What teacher and judges cost, by their names as the recipe writes them; None: unpriced.

    A price in the recipe goes first, the first one where a model stands in it twice; then the
    table's; what runs on one's own machines is free.
    """
    found: dict[str, TokenPrice | None] = {}
    for name, own in _named(recipe):
        found[name] = found.get(name) or own
    return {name: own or _listed(name, table) for name, own in found.items()}


def unpriced(prices: dict[str, TokenPrice | None], names: Collection[str]) -> list[str]:
    """Those of the models whose price is not known."""
    return [name for name in names if prices[name] is None]


def table_of(price_list: PriceList | None) -> PriceTable | None:
    """The table that a version holds."""
    return None if price_list is None else PriceTable.model_validate(price_list.document)


def price_lists() -> QuerySet[PriceList]:
    """Every version, newest first, with who made it."""
    return PriceList.objects.select_related("created_by")


def newest_price_list() -> PriceList | None:
    """The version that goes with new runs; None before the shipped one was stored."""
    return price_lists().first()


def current_table() -> PriceTable:
    """The table that goes with new runs."""
    return table_of(newest_price_list()) or shipped_table()


@lru_cache(maxsize=1)
def shipped_table() -> PriceTable:
    """The table that comes with this version of the project."""
    return load_price_table(SHIPPED.read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class PricePage:
    """One version of the prices, what it changed, and all versions.

    `shown` is None where the shipped table has not been used yet; `diff` tells what differs from
    the version before; `is_newest` that new runs reckon with it; `differs_from_shipped` that the
    project came with other prices.
    """

    shown: PriceList | None
    table: PriceTable
    diff: list[DiffLine]
    before: PriceList | None
    versions: list[PriceList]
    is_newest: bool
    shipped_as_of: dt.date
    differs_from_shipped: bool


def price_page(shown: PriceList | None) -> PricePage:
    """What the page on prices shows of a version; of None the shipped table."""
    versions = list(price_lists().defer("document")[:MOST_VERSIONS])
    table = table_of(shown) or shipped_table()
    before = price_lists().filter(pk__lt=shown.pk).first() if shown else None
    was = table_of(before)
    return PricePage(
        shown=shown,
        table=table,
        diff=diff_texts(dump_price_table(was), dump_price_table(table)) if was else [],
        before=before,
        versions=versions,
        is_newest=not versions or shown == versions[0],
        shipped_as_of=shipped_table().as_of,
        differs_from_shipped=table != shipped_table(),
    )


def _named(recipe: Recipe) -> Iterator[tuple[str, TokenPrice | None]]:
    yield recipe.teacher.name, recipe.teacher.price
    for judge in recipe.judges:
        yield judge.teacher, judge.price


def _listed(name: str, table: PriceTable | None) -> TokenPrice | None:
    try:
        full = canonical_name(name).name
    except InputError:  # a provider that this version does not know
        return None
    price = table.price_of(full) if table is not None else None
    return price or (FREE if is_free(full) else None)
