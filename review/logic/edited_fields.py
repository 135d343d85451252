"""A reviewer's own words for the fields of a completion, as a form sends them."""

from __future__ import annotations

from collections.abc import Mapping

from distill.logic.errors import InputError
from distill.logic.storable import storable

PREFIX = "field-"
"""Of the names of the form's inputs: what follows is the field's name."""

MOST_CHARS = 100_000
"""Of all fields together: some twenty times what any teacher writes for a sample."""


def posted_fields(posted: Mapping[str, str]) -> dict[str, str]:
    """The fields among a form's values, with line ends as newlines; none where it has none."""
    return {
        name.removeprefix(PREFIX): storable(text.replace("\r\n", "\n").replace("\r", "\n"))
        for name, text in posted.items()
        if name.startswith(PREFIX)
    }


def check_fields(fields: Mapping[str, str], *, original: Mapping[str, object]) -> None:
    """Raise InputError unless the edit has the completion's fields, and is not too long."""
    if not original:
        raise InputError("This answer has no fields that could be edited; accept or reject it.")
    if set(fields) != set(original):
        wanted = ", ".join(original)
        raise InputError(f"An edit must give each field of the answer: {wanted}.")
    num_chars = sum(map(len, fields.values()))
    if num_chars > MOST_CHARS:
        raise InputError(
            f"The edit has {num_chars:,} characters; {MOST_CHARS:,} are the most that are kept."
        )
