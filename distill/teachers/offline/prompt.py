"""Reading a prompt of this project: the passage, what is asked for, what was wrong before."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, taken apart. `keys` are the fields wanted, as JSON or, where `has_headings`, as
    text under headings; without any, `plain_field` alone is wanted as plain text."""

    passage: str
    keys: tuple[str, ...]
    plain_field: str
    answer: str
    dimensions: tuple[str, ...]
    is_second_attempt: bool
    reasons: frozenset[str]
    has_headings: bool = False


_KEYS = re.compile(r"JSON object with exactly these keys:(.*)", re.IGNORECASE)
_HEADINGS = re.compile(r"each part under its own heading line:(.*)", re.IGNORECASE)
_DIMENSIONS = re.compile(r'"scores" has exactly these keys[^:\n]*:(.*)', re.IGNORECASE)
_PLAIN = re.compile(r"plain text only: (?:the )?(\w+)", re.IGNORECASE)
_QUOTED = re.compile(r'"([^"\n]{1,80})"')
_REASON = re.compile(r"^- ([a-z_]+):", re.MULTILINE)


def read_ask(messages: Sequence[tuple[str, str]]) -> Ask:
    """Take apart (role, content) messages; the last user message is the one that asks.

    A message without `<passage>` lines is a passage as a whole, up to its last instruction.
    """
    asking = next((text for role, text in reversed(messages) if role == "user"), "")
    # Only the last lines say how to reply: a passage may hold such words too.
    tail = "\n".join(asking.rstrip().split("\n")[-3:])
    headings = _last(_HEADINGS, tail).replace("## ", "")
    keys = headings or _last(_KEYS, tail)
    return Ask(
        passage=_between(asking, "passage") or asking,
        keys=tuple(dict.fromkeys(_QUOTED.findall(keys))),
        plain_field=_last(_PLAIN, tail).lower() if not keys else "",
        answer=_between(asking, "answer"),
        dimensions=tuple(dict.fromkeys(_QUOTED.findall(_last(_DIMENSIONS, tail)))),
        is_second_attempt="<rejected_answer>" in asking,
        reasons=frozenset(_REASON.findall(_outside_texts(asking))),
        has_headings=bool(headings),
    )


def _last(pattern: re.Pattern[str], text: str) -> str:
    """What the pattern's group holds at its last match."""
    found = ""
    for match in pattern.finditer(text):
        found = match.group(1)
    return found


def _between(text: str, tag: str) -> str:
    """The text between the line `<tag>` and the next line `</tag>`."""
    found = re.search(rf"^<{tag}>[ \t]*\n(.*?)^</{tag}>", text, re.DOTALL | re.MULTILINE)
    return found.group(1).strip() if found else ""


def _outside_texts(text: str) -> str:
    """The prompt without passage and old answer, whose own lists are no reasons."""
    return re.sub(
        r"^<(passage|rejected_answer|answer)>.*?^</\1>", "", text, flags=re.DOTALL | re.MULTILINE
    )
