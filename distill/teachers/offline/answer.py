"""The content of one reply: the model's text, damaged where a fault asks for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from distill.teachers.offline.extractive import write_pair
from distill.teachers.offline.misbehave import Fault
from distill.teachers.offline.prompt import Ask, read_ask
from distill.teachers.offline.rubric import judge

_REFUSAL = "I'm sorry, but I can't help with that request."
# A stand-in's thought, as long as it is asked to be; a token is four characters here.
_THOUGHT = "It picks the sentence that names a change and what it was measured by. "
_THOUGHTS = {"minimal": 1, "low": 1, "medium": 2, "high": 4, "xhigh": 8}
_CITED = "{text} This agrees with earlier work (Okafor et al., 2019) [3, 7]."


@dataclass(frozen=True, slots=True)
class Content:
    """What the assistant says, how it ended, and what it thought before."""

    text: str
    finish_reason: str = "stop"
    reasoning: str = ""


def write_content(body: Mapping[str, Any], request_hash: str, fault: Fault | None) -> Content:
    """The content for a request body of the protocol; follows from its arguments alone."""
    messages = [(str(part.get("role")), part["content"]) for part in body["messages"]]
    fields = _fields_of(body, read_ask(messages), request_hash)
    thought = (_THOUGHT * _THOUGHTS.get(str(body.get("reasoning_effort")), 0)).strip()
    content = Content(_damage(fields, fault), reasoning=thought)
    if fault is Fault.TRUNCATED:
        return replace(
            content, text=content.text[: len(content.text) * 3 // 5], finish_reason="length"
        )
    return _limit(content, body.get("max_completion_tokens") or body.get("max_tokens"))


def _fields_of(body: Mapping[str, Any], ask: Ask, request_hash: str) -> dict[str, Any] | str:
    """The reply before it is written out: JSON fields, or a plain text."""
    if body["model"] == "rubric":
        return judge(ask)
    pair = write_pair(ask, request_hash)
    if ask.has_headings:
        return "\n\n".join(f"## {key}\n{pair.field(key)}" for key in ask.keys)
    if ask.keys:
        return {key: pair.field(key) for key in ask.keys}
    return pair.field(ask.plain_field)


def _damage(fields: dict[str, Any] | str, fault: Fault | None) -> str:
    match fault:
        case Fault.EMPTY:
            return ""
        case Fault.REFUSAL:
            return _REFUSAL
        case Fault.CITATIONS:
            return _write(_cite(fields))
        case Fault.MISSING_FIELD:
            return _write(_shorten(fields))
        case Fault.BROKEN_JSON:
            return _break(_write(fields))
    return _write(fields)


def _write(fields: dict[str, Any] | str) -> str:
    if isinstance(fields, str):
        return fields
    return orjson.dumps(fields, option=orjson.OPT_INDENT_2).decode()


def _cite(fields: dict[str, Any] | str) -> dict[str, Any] | str:
    """Plant citations in the first text; scores are left alone."""
    if isinstance(fields, str):
        return _CITED.format(text=fields)
    texts = [key for key, value in fields.items() if isinstance(value, str)]
    return fields | {key: _CITED.format(text=fields[key]) for key in texts[:1]}


def _shorten(fields: dict[str, Any] | str) -> dict[str, Any] | str:
    """Leave out the last field; of a plain text keep the first words."""
    if isinstance(fields, str):
        return " ".join(fields.split()[:6])
    return dict(list(fields.items())[:-1])


def _break(text: str) -> str:
    """JSON loses its end and gains a stray fence; plain text gets a fence that never closes."""
    if text.startswith("{"):
        return "```json\n" + re.sub(r'"\s*\}\s*$', "", text)
    return f"```\n{text}"


def _limit(content: Content, max_tokens: object) -> Content:
    """Cut at the request's own limit, as a real teacher does: first it thinks, then it writes."""
    if not isinstance(max_tokens, int) or isinstance(max_tokens, bool) or max_tokens < 1:
        return content
    left = max_tokens * 4 - len(content.reasoning)
    if len(content.text) <= left:
        return content
    return replace(content, text=content.text[: max(left, 0)], finish_reason="length")
