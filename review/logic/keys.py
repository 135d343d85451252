"""The keys of the review screen: one registry renders buttons and help and drives the script."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from distill.logic.reasons import REVIEWER_REASONS

Action = Literal["accept", "reject", "skip", "undo", "help"]


@dataclass(frozen=True, slots=True)
class Key:
    """One key, what it does, the word on its button, and a line of help."""

    key: str
    action: Action
    label: str
    help: str


@dataclass(frozen=True, slots=True)
class ReasonKey:
    """One digit of a rejection and the reason that it gives."""

    key: str
    reason: str
    label: str


KEYS: tuple[Key, ...] = (
    Key("a", "accept", "Accept", "Accept this completion and go on"),
    Key("x", "reject", "Reject", "Reject it: then a digit from 1 to 9 gives the reason"),
    Key("s", "skip", "Skip", "Leave it to somebody else and go on"),
    Key("u", "undo", "Undo", "Take your last decision back; again for the one before"),
    Key("?", "help", "Keys", "Show or hide this list"),
)

REASON_KEYS: tuple[ReasonKey, ...] = tuple(
    ReasonKey(str(digit), reason.value, reason.label)
    for digit, reason in enumerate(REVIEWER_REASONS, start=1)
)


def key_map() -> dict[str, object]:
    """The registry as the page's script reads it."""
    return {
        "actions": {key.key: key.action for key in KEYS},
        "reasons": {key.key: key.reason for key in REASON_KEYS},
        "keys": [asdict(key) for key in KEYS],
    }


def key_of(action: Action) -> Key:
    """The key that does `action`."""
    return next(key for key in KEYS if key.action == action)
