"""The keys of one person."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import User

from review.logic.keys import Key, keys_of
from review.models import KeyMap


@dataclass(frozen=True, slots=True)
class OwnKeys:
    """The registry as this person uses it, and whether single keys act at all."""

    keys: tuple[Key, ...]
    are_on: bool


def own_keys(reviewer: User, *, is_pairwise: bool = False) -> OwnKeys:
    """The person's keys; the usual ones where they changed none."""
    stored = KeyMap.objects.filter(reviewer=reviewer).first()
    changed = stored.keys if stored else {}
    return OwnKeys(keys_of(changed, is_pairwise=is_pairwise), stored is None or stored.is_on)
