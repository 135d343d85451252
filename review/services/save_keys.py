"""Keep which keys a person uses."""

from __future__ import annotations

from collections.abc import Mapping

from django.contrib.auth.models import User

from review.logic.keys import check_keys
from review.models import KeyMap


def save_keys(*, reviewer: User, keys: Mapping[str, str], is_on: bool) -> KeyMap:
    """Store the keys that differ from the usual ones, and whether single keys act at all.

    Raises InputError for an unknown action, a key out of the closed list, or one key for two actions.
    """
    stored, _ = KeyMap.objects.update_or_create(
        reviewer=reviewer, defaults={"keys": check_keys(keys), "is_on": is_on}
    )
    return stored
