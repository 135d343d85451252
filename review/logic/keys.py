"""The keys of the review screen: one registry for buttons, help, settings, script, docs and tests.

Each action has a key that a person may change, out of `ALLOWED`; digits give reasons and are fixed.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from distill.logic.errors import InputError
from distill.logic.reasons import REVIEWER_REASONS, Reason

Action = Literal[
    "accept", "reject", "edit", "skip", "flag", "note", "undo",
    "newer", "older", "judge", "marks", "parent", "diff", "context", "extend",
    "search", "help", "go", "left", "right", "tie",
]  # fmt: skip
Group = Literal["decide", "look", "go"]

ALLOWED = tuple(string.ascii_lowercase + "?/+-.,;=[]")
"""What a key may be: one printable character without a digit. Enter, Space, Tab and Esc stay native."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key, what it does, the word on its button, and a line of help."""

    key: str
    action: Action
    label: str
    help: str
    group: Group = "look"


@dataclass(frozen=True, slots=True)
class ReasonKey:
    """One digit of a rejection and the reason that it gives."""

    key: str
    reason: str
    label: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where `g` and a letter lead; `url` is a name of the site's addresses."""

    key: str
    url: str
    label: str


KEYS: tuple[Key, ...] = (
    Key("a", "accept", "Accept", "Accept this completion and go on", "decide"),
    Key("x", "reject", "Reject", "Reject it: then a digit gives the reason", "decide"),
    Key("e", "edit", "Edit", "Change its words; Ctrl or ⌘ and Enter accepts them", "decide"),
    Key("s", "skip", "Skip", "Leave it to somebody else and go on", "decide"),
    Key("f", "flag", "Flag", "Put it before a lead and go on", "decide"),
    Key("u", "undo", "Undo", "Take your last decision back; again for the one before", "decide"),
    Key("n", "note", "Note", "Write a note to your decision"),
    Key("v", "judge", "Judge", "Show what the judges said; your decision is marked for it"),
    Key("p", "parent", "Earlier", "Show or hide the earlier attempts and why they fell"),
    Key("d", "diff", "Changes", "Show or hide what changed between attempts"),
    Key("h", "marks", "Marks", "Show or hide what is marked in the texts"),
    Key("i", "context", "Source", "Show or hide the source"),
    Key("k", "older", "Older", "Look at the decision before, without changing it"),
    Key("j", "newer", "Newer", "Look at the decision after, and back to the card"),
    Key("m", "extend", "More time", "Begin the time with this card anew"),
    Key("/", "search", "Search", "Search your decisions", "go"),
    Key("?", "help", "Keys", "Show or hide this list", "go"),
    Key("g", "go", "Go", "Then a letter: go to another page", "go"),
)

PAIR_KEYS: tuple[Key, ...] = (
    Key("a", "left", "Left", "The left one is better", "decide"),
    Key("l", "right", "Right", "The right one is better", "decide"),
    Key("t", "tie", "Tie", "Neither is better", "decide"),
    *(
        key
        for key in KEYS
        if key.action not in ("accept", "reject", "edit", "diff", "parent", "marks")
    ),
)
"""Where two completions are compared."""

PLACES: tuple[Place, ...] = (
    Place("q", "review:queues", "Queues"),
    Place("m", "review:mine", "My page"),
    Place("s", "review:keys", "Settings of the keys"),
)

_OF_SCREEN: dict[str, Key] = {key.action: key for key in (*PAIR_KEYS, *KEYS)}


def reason_keys(chosen: Sequence[str] = ()) -> tuple[ReasonKey, ...]:
    """The digits of a queue's reasons, in its order; of all where it names none."""
    reasons = [Reason(code) for code in chosen] or REVIEWER_REASONS
    return tuple(
        ReasonKey(str(digit), reason.value, reason.label)
        for digit, reason in enumerate(reasons, start=1)
    )


REASON_KEYS = reason_keys()


def keys_of(changed: Mapping[str, str], *, is_pairwise: bool = False) -> tuple[Key, ...]:
    """The registry with a person's own keys in it."""
    keys = PAIR_KEYS if is_pairwise else KEYS
    return tuple(
        Key(changed.get(key.action, key.key), key.action, key.label, key.help, key.group)
        for key in keys
    )


def key_of(action: str) -> Key:
    """The usual key of an action."""
    return _OF_SCREEN[action]


def check_keys(changed: Mapping[str, str]) -> dict[str, str]:
    """The keys that differ from the usual ones. Raises InputError for an unknown action, a key that
    is not allowed, and for two actions of one screen with the same key.
    """
    for action, key in changed.items():
        if action not in _OF_SCREEN:
            raise InputError(f"There is no action {action!r}.")
        if key not in ALLOWED:
            raise InputError(f"{_OF_SCREEN[action].label}: choose one of {' '.join(ALLOWED)}.")
    for is_pairwise in (False, True):
        _refuse_doubles(keys_of(changed, is_pairwise=is_pairwise))
    return {a: key for a, key in changed.items() if key != _OF_SCREEN[a].key}


def _refuse_doubles(keys: Iterable[Key]) -> None:
    taken: dict[str, Key] = {}
    for key in keys:
        if other := taken.get(key.key):
            raise InputError(f"{other.label} and {key.label} cannot both be {key.key}.")
        taken[key.key] = key


def key_map(
    keys: Sequence[Key] = KEYS, reasons: Sequence[ReasonKey] = REASON_KEYS, *, is_on: bool = True
) -> dict[str, object]:
    """The registry as the page's script reads it; without keys where the person has none on."""
    return {
        "actions": {key.key: key.action for key in keys} if is_on else {},
        "reasons": {key.key: key.reason for key in reasons} if is_on else {},
        "keys": [asdict(key) for key in keys],
    }
