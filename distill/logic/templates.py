"""What is asked of a teacher, and how its reply is read: the writer and the parser side by side.

A template's user text may hold the placeholders {text} {domain} {instruction} {title}. `{text}`
stands alone on its line and becomes the passage between `<passage>` and `</passage>` (see
`blocks`). The line that says how to reply is not part of the template: it follows from the reply's
fields and always ends the user message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Self

import orjson
from pydantic import model_validator

from distill.logic import prompts
from distill.logic.blocks import MARKER, block, neutralise
from distill.logic.documents import Document
from distill.logic.json_reply import read_json_object
from distill.logic.reasons import Reason
from distill.logic.types import Evidence, Message

PLACEHOLDERS = ("text", "domain", "instruction", "title")

_PLACEHOLDER = re.compile(r"\{(" + "|".join(PLACEHOLDERS) + r")\}")
# `\text{moles}` and `x_{max}` are LaTeX, `{context}` is a placeholder that nobody would fill.
_LOOKS_LIKE_PLACEHOLDER = re.compile(r"(?<![\\\w^}])\{([a-z][a-z_]+)\}")
_FIELD_NAME = re.compile(r"[a-z][a-z0-9_]*")
_STEP_NUMBER = re.compile(r"\A(?:step\s+)?\d{1,3}\s*[.):]\s+", re.IGNORECASE)


class Template(Document):
    """Frozen: system text, user text with placeholders, and the fields of the reply."""

    name: str
    system: str = ""
    user: str
    reply_fields: tuple[str, ...]
    reply_format: Literal["json", "text"] = "json"

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_reply_fields(self.reply_fields)
        if [line.strip() for line in self.user.split("\n")].count("{text}") != 1:
            raise ValueError("user must hold {text} once, alone on its line")
        if self.user.count("{text}") != 1:
            raise ValueError("user may hold {text} only once")
        if MARKER.search(self.user):
            raise ValueError("user must not hold <passage> or <answer>: {text} brings its own")
        unknown = set(_LOOKS_LIKE_PLACEHOLDER.findall(self.user)) - set(PLACEHOLDERS)
        if unknown:
            known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
            raise ValueError(f"user holds {{{min(unknown)}}}, known placeholders are {known}")
        if _LOOKS_LIKE_PLACEHOLDER.search(self.system):
            raise ValueError("system is sent as it is: placeholders belong into user")
        return self


def _check_reply_fields(names: tuple[str, ...]) -> None:
    if not names or len(set(names)) < len(names):
        raise ValueError("reply_fields must name at least one field, each once")
    for name in names:
        if not _FIELD_NAME.fullmatch(name):
            raise ValueError(f"reply_fields: {name!r} must be lower-case letters, digits and _")


@dataclass(frozen=True, slots=True)
class ParsedReply:
    """The non-blank fields that were found, and what is wrong with the reply's form."""

    fields: dict[str, str]
    evidence: tuple[Evidence, ...]


def build_messages(
    template: Template, *, text: str, domain: str = "", instruction: str = "", title: str = ""
) -> tuple[Message, ...]:
    """The chat that asks for one completion: system (where there is one) and user.

    Values are filled in by a single pass, so braces and placeholder names inside them come out as
    they are; only our own markers are neutralised. A line whose placeholders are all empty is left
    out.
    """
    values = {"domain": domain, "instruction": instruction, "title": title}
    filled = {name: neutralise(value) for name, value in values.items()}
    filled["text"] = block("passage", text)
    user = f"{_fill(template.user, filled)}\n\n{reply_line(template)}"
    system = (Message("system", template.system),) if template.system else ()
    return (*system, Message("user", user))


def _fill(user: str, values: Mapping[str, str]) -> str:
    lines: list[str] = []
    for line, names in _lines(user):
        if names and not any(values[name].strip() for name in names):
            continue
        if not line and lines and not lines[-1]:
            continue
        filled = _PLACEHOLDER.sub(lambda match: values[match[1]], line) if names else line
        lines.append(filled)
    return "\n".join(lines)


@lru_cache(maxsize=256)
def _lines(user: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The lines of a user text, each with its placeholders: the same for every sample."""
    return tuple((line, tuple(_PLACEHOLDER.findall(line))) for line in user.strip("\n").split("\n"))


def reply_line(template: Template) -> str:
    """The last line of the user message. The offline teacher reads it to know what to write."""
    if template.reply_format == "json":
        keys = ", ".join(f'"{name}"' for name in template.reply_fields)
        return f"Reply with a JSON object with exactly these keys: {keys}."
    if len(template.reply_fields) == 1:
        return f"Reply with plain text only: the {template.reply_fields[0]}."
    headings = ", ".join(f'"## {name}"' for name in template.reply_fields)
    return f"Reply with plain text only, each part under its own heading line: {headings}."


@lru_cache(maxsize=256)
def reply_schema(template: Template) -> dict[str, object] | None:
    """The JSON schema of the reply, strict: every field a text, all required, no other.

    None for a template whose reply is plain text. Do not change it: all callers share it.
    """
    if template.reply_format != "json":
        return None
    return {
        "type": "object",
        "properties": {name: {"type": "string"} for name in template.reply_fields},
        "required": list(template.reply_fields),
        "additionalProperties": False,
    }


def write_reply(template: Template, fields: Mapping[str, str]) -> str:
    """The reply that a perfect teacher would have sent: what a student learns to write.

    The inverse of `parse_reply`: parsing gives the same fields again, with line ends as newlines
    and without outer white space. Fields that the template does not know are left out.
    """
    known = {name: _tidy(fields[name]) for name in template.reply_fields if name in fields}
    if template.reply_format == "json":
        return orjson.dumps(known, option=orjson.OPT_INDENT_2).decode()
    if len(template.reply_fields) == 1:
        return "".join(known.values())
    parts = (f"## {name}\n{_escape(template, text)}" for name, text in known.items())
    return "\n\n".join(parts)


def parse_reply(template: Template, text: str, *, finish_reason: str = "stop") -> ParsedReply:
    """The reply's fields, and every fault of its form.

    JSON may stand in a code fence or between prose (see `json_reply`); further keys are ignored; a
    list of texts becomes numbered lines; any other value is refused. A field that is absent, blank
    or refused is MISSING_FIELD, each; a reply without an object is UNPARSEABLE; a reply that was
    cut off is TRUNCATED, whatever else is found.
    """
    cut = _cut_off(finish_reason)
    if template.reply_format == "text":
        found: Mapping[str, object] = _read_text(template, text)
    else:
        read = read_json_object(text)
        if read is None:
            return ParsedReply({}, (*cut, Evidence(Reason.UNPARSEABLE, _not_json(text))))
        found = read
    fields: dict[str, str] = {}
    missing: list[Evidence] = []
    for name in template.reply_fields:
        value, fault = _field_text(name, found.get(name))
        if fault:
            missing.append(Evidence(Reason.MISSING_FIELD, fault))
        else:
            fields[name] = value
    return ParsedReply(fields, (*cut, *missing))


def plain_text(template: Template, fields: Mapping[str, str]) -> str:
    """What rules and people read: the fields in the template's order, a blank line between."""
    return "\n\n".join(fields[name] for name in template.reply_fields if name in fields)


def field_spans(template: Template, fields: Mapping[str, str]) -> dict[str, tuple[int, int]]:
    """Where each field stands in `plain_text`: start and end in characters."""
    spans: dict[str, tuple[int, int]] = {}
    start = 0
    for name in template.reply_fields:
        if name in fields:
            spans[name] = (start, start + len(fields[name]))
            start += len(fields[name]) + 2
    return spans


def _cut_off(finish_reason: str) -> tuple[Evidence, ...]:
    if finish_reason in ("length", "max_tokens"):
        return (Evidence(Reason.TRUNCATED, "the reply reached the limit of max_tokens"),)
    if finish_reason == "content_filter":
        return (Evidence(Reason.TRUNCATED, "the provider's content filter stopped the reply"),)
    return ()


def _not_json(text: str) -> str:
    begin = " ".join(_tidy(text[:200]).split())[:60]
    return f"no JSON object; the reply begins: {begin}" if begin else "the reply is blank"


def _field_text(name: str, value: object) -> tuple[str, str]:
    """The field's text, or what is wrong with it."""
    if isinstance(value, list) and all(isinstance(step, str) for step in value):
        value = _number_steps(value)
    if value is None:
        return "", f'"{name}" is missing'
    if not isinstance(value, str):
        return "", f'"{name}" is {_kind(value)}, text was asked for'
    text = _tidy(value)
    return text, "" if text else f'"{name}" is blank'


def _kind(value: object) -> str:
    if isinstance(value, dict):
        return "an object"
    return "a list with other values than texts" if isinstance(value, list) else repr(value)[:40]


def _number_steps(steps: Iterable[str]) -> str:
    texts = [_STEP_NUMBER.sub("", _tidy(step), count=1) for step in steps]
    return "\n".join(f"{number}. {text}" for number, text in enumerate(filter(None, texts), 1))


def _tidy(text: str) -> str:
    # PostgreSQL stores no NUL; as U+FFFD it is found by the rule on broken formatting.
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd").strip()


def _read_text(template: Template, text: str) -> dict[str, object]:
    if len(template.reply_fields) == 1:
        return {template.reply_fields[0]: text}
    parts: dict[str, list[str]] = {}
    current: list[str] = []
    for line in _tidy(text).split("\n"):
        name = _heading(template, line)
        if name and name not in parts:
            current = parts[name] = []
        else:
            escaped = line.startswith("\\") and _heading(template, line.lstrip("\\"))
            current.append(line[1:] if escaped else line)
    return {name: "\n".join(lines) for name, lines in parts.items()}


def _escape(template: Template, text: str) -> str:
    """A line of a field that reads like a heading gets a backslash, so that it stays text."""
    lines = text.split("\n")
    return "\n".join(
        "\\" + line if _heading(template, line.lstrip("\\")) else line for line in lines
    )


def _heading(template: Template, line: str) -> str:
    """The field whose heading the line is: `## name`, in any case, one to six #; else ''."""
    if not line.startswith("#"):
        return ""
    name = line.lstrip("#").strip().rstrip(":").lower().replace(" ", "_")
    return name if name in template.reply_fields else ""


SHIPPED: Mapping[str, Template] = {
    template.name: template
    for template in (
        Template(
            name="pair",
            system=prompts.SYSTEM,
            user=prompts.PAIR_USER,
            reply_fields=("hypothesis", "methodology"),
            reply_format="json",
        ),
        Template(
            name="hypothesis",
            system=prompts.SYSTEM,
            user=prompts.HYPOTHESIS_USER,
            reply_fields=("hypothesis",),
            reply_format="text",
        ),
        Template(
            name="methodology",
            system=prompts.SYSTEM,
            user=prompts.METHODOLOGY_USER,
            reply_fields=("methodology",),
            reply_format="text",
        ),
    )
}
"""The templates of a recipe that brings none. `pair` is the default."""
