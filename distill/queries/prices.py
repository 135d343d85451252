"""What the models of a run or a recipe cost: the recipe's own prices first, then the price list's."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import lru_cache
from pathlib import Path

from distill.logic.errors import InputError
from distill.logic.price_table import PriceTable, load_price_table
from distill.logic.prices import FREE, TokenPrice
from distill.logic.recipe import Recipe
from distill.models import PriceList, Run
from distill.teachers.registry import canonical_name, is_free

SHIPPED = Path(__file__).parent.parent / "prices.yaml"


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


def newest_price_list() -> PriceList | None:
    """The version that goes with new runs; None before the shipped one was stored."""
    return PriceList.objects.select_related("created_by").first()


def current_table() -> PriceTable:
    """The table that goes with new runs."""
    return table_of(newest_price_list()) or shipped_table()


@lru_cache(maxsize=1)
def shipped_table() -> PriceTable:
    """The table that comes with this version of the project."""
    return load_price_table(SHIPPED.read_text(encoding="utf-8"))


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
