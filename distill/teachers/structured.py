"""How a reply's form is asked for beside the prompt: the protocol's `response_format`.

The line in the prompt that says how to reply stays in any case: a provider may ignore the
parameter, and models answer better when they have read what they are held to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Setting = Literal["auto", "schema", "json", "prompt"]
_Form = Literal["schema", "json", "prompt"]


@dataclass(frozen=True, slots=True)
class _Row:
    """The strictest form that these models of a provider have."""

    provider: str
    models: re.Pattern[str]
    form: _Form


def _row(provider: str, models: str, form: _Form) -> _Row:
    return _Row(provider, re.compile(models), form)


# The first row that fits counts. Sources: docs/decisions/0019-providers.md.
_FORMS = (
    _row("openai", r"gpt-4-0|gpt-4$|gpt-4-32k|o1-(?:mini|preview)", "prompt"),
    _row("openai", r"gpt-3\.5|gpt-4-|gpt-4o-2024-05-13", "json"),
    _row("openai", r"", "schema"),
    # It leaves out what the model behind it does not take.
    _row("openrouter", r"", "schema"),
    # Its compatible endpoint ignores response_format.
    _row("anthropic", r"", "prompt"),
    _row("gemini", r"", "schema"),
    _row("groq", r"openai/gpt-oss-", "schema"),
    _row("groq", r"", "json"),
    _row("together", r"", "schema"),
    _row("vllm", r"", "schema"),
    _row("ollama", r"", "schema"),
)


def response_format(
    teacher: str, setting: Setting, *, name: str, schema: dict[str, object] | None
) -> dict[str, object]:
    """Parameters for a request to `teacher` whose reply should fit `schema`; merge them into it.

    They are part of the request's key, as every parameter is: another setting, or another schema,
    is another call. `auto` takes the strictest form that the provider is known to have and is {}
    for the offline teacher (it reads the prompt) and for a base URL that somebody typed; any other
    setting is sent as asked. {} where `schema` is None (a plain text). `name` is for the provider
    to show.
    """
    form = _strictest(teacher) if setting == "auto" else setting
    if schema is None or form == "prompt":
        return {}
    if form == "json":
        return {"response_format": {"type": "json_object"}}
    strict = {"name": _safe_name(name), "strict": True, "schema": schema}
    return {"response_format": {"type": "json_schema", "json_schema": strict}}


@lru_cache(maxsize=256)
def _strictest(teacher: str) -> _Form:
    provider, _, model = teacher.partition(":")
    for row in _FORMS:
        if row.provider == provider and row.models.match(model):
            return row.form
    return "prompt"


@lru_cache(maxsize=256)
def _safe_name(name: str) -> str:
    """The protocol allows letters, digits, _ and -, at most 64."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:64] or "reply"
