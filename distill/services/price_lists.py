"""The price list: every change makes a new version; a version never changes."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from django.db import transaction

from distill.logic.errors import ConflictError
from distill.logic.price_table import PriceTable, price_table_hash
from distill.models import PriceList
from distill.queries.prices import newest_price_list, shipped_table, table_of

if TYPE_CHECKING:
    from django.contrib.auth.models import User

SHIPPED_NOTE = "Came with the project."
RESTORED_NOTE = "The shipped table again."


def current_price_list() -> PriceList:
    """Return the version that goes with new runs; the shipped table becomes the first one."""
    return newest_price_list() or _store(shipped_table(), None, SHIPPED_NOTE, None)


def save_price_list(
    *, table: PriceTable, based_on: PriceList, note: str = "", user: User | None = None
) -> PriceList:
    """Return the version that holds this table; make it where the current one holds another.

    Raises ConflictError where `based_on` is not the current version any more: somebody has changed
    it in between, and nothing of that is overwritten.
    """
    with transaction.atomic():
        PriceList.objects.select_for_update().get(pk=based_on.pk)
        newest = current_price_list()
        if table_of(newest) == table:
            return newest
        if newest.pk != based_on.pk:
            raise ConflictError(
                f"The prices were changed in between ({newest}): look at them, then change them again."
            )
        return _store(table, newest, note, user)


def _store(table: PriceTable, before: PriceList | None, note: str, user: User | None) -> PriceList:
    """Two that store at once get the same version: its hash is of the table and what it follows.

    So a table may come again after another one, which is how the shipped one is restored.
    """
    chain = f"{before.sha256 if before else ''}{price_table_hash(table)}"
    stored, _is_new = PriceList.objects.get_or_create(
        sha256=hashlib.sha256(chain.encode()).hexdigest(),
        defaults={"document": table.model_dump(mode="json"), "note": note, "created_by": user},
    )
    return stored
