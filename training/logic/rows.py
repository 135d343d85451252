"""Whether rows can be trained on: their form, their splits, and no source on both sides."""

from __future__ import annotations

from collections import Counter

import orjson

from distill.logic.errors import InputError

SPLITS = ("train", "validation", "test")
_ROLES = frozenset({"system", "user", "assistant"})
_NAMED = 3


class RowCheck:
    """Takes the rows of one file after the other; `finish` says what is wrong with all of them.

    What comes from one source document (`source_id`; without one, `prompt_id`) must not stand in
    train and in a held-out split (invariant 7).
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._split_of: dict[str, str] = {}
        self._clashes: dict[str, str] = {}

    def take(self, line: bytes, *, where: str) -> str:
        """Look at one line of JSONL; return its split. Raises InputError beginning with `where`.

        A row that names no split is for training.
        """
        row = _read(line, where)
        split = row.get("split") or "train"
        if split not in SPLITS:
            raise InputError(
                f"{where}: unknown split {str(split)[:40]!r}; known are train, validation, test."
            )
        self.counts[split] += 1
        self._note_source(row, split)
        return str(split)

    def finish(self, *, name: str) -> None:
        """Raise InputError where the rows together cannot be trained on."""
        if not self.counts:
            raise InputError(f"{name} is empty: there is nothing to train on.")
        if not self.counts["train"]:
            held_out = ", ".join(f"{num} {split}" for split, num in sorted(self.counts.items()))
            raise InputError(
                f"{name} has no row of split train ({held_out}): there is nothing to train on. "
                "Splits are made by source document, so a handful of sources can leave one empty: "
                "export more samples."
            )
        if self._clashes:
            raise InputError(clash_message(name, self._clashes))

    def _note_source(self, row: dict[str, object], split: str) -> None:
        source = str(row.get("source_id") or row.get("prompt_id") or "")
        if not source:
            return
        before = self._split_of.setdefault(source, split)
        if before != split and "train" in (before, split):
            self._clashes[source] = before if split == "train" else split


def clash_message(name: str, clashes: dict[str, str]) -> str:
    """What to say of sources that are trained on and held out; `clashes` gives the held-out split."""
    named = ", ".join(f"“{source[:80]}” (train and {split})" for source, split in _first(clashes))
    more = f" and {len(clashes) - _NAMED:,} more" if len(clashes) > _NAMED else ""
    return (
        f"{name} would train on what it is tested on: {named}{more} stand in two splits. "
        "Write it anew with to_sft or as an export, which split by source document."
    )


def _first(clashes: dict[str, str]) -> list[tuple[str, str]]:
    return sorted(clashes.items())[:_NAMED]


def _read(line: bytes, where: str) -> dict[str, object]:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InputError(f"{where}: not JSON ({error}).") from error
    messages = row.get("messages") if isinstance(row, dict) else None
    if not isinstance(messages, list) or not all(map(_is_message, messages)):
        raise InputError(
            f"{where}: not a training row; it needs `messages`, a list of role (system, user, "
            "assistant) and content. to_sft writes such files."
        )
    if (
        len(messages) < 2
        or messages[-1]["role"] != "assistant"
        or not messages[-1]["content"].strip()
    ):
        raise InputError(f"{where}: the last of its messages must be the assistant's answer.")
    found: dict[str, object] = row
    return found


def _is_message(message: object) -> bool:
    return (
        isinstance(message, dict)
        and message.get("role") in _ROLES
        and isinstance(message.get("content"), str)
    )
