"""How providers and families of models spell the parameters of a request.

A request holds the protocol's own names (`max_tokens`, `temperature`, `reasoning_effort`, …). What
leaves is renamed, left out or brought to a value that is accepted, by the first row that fits. The
request's key is made of what was asked, not of what left. Sources: docs/decisions/0019-providers.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")

_SAMPLING = frozenset({"temperature", "top_p", "presence_penalty", "frequency_penalty"})

_Spelling = Callable[[str], dict[str, object]]


def _as_effort(*accepted: str) -> _Spelling:
    """`reasoning_effort`, moved to the nearest accepted value; the higher one of two."""

    def spell(wanted: str) -> dict[str, object]:
        return {"reasoning_effort": nearest_effort(wanted, accepted)}

    return spell


def _nested(wanted: str) -> dict[str, object]:
    return {"reasoning": {"effort": wanted}}


def _switch(wanted: str) -> dict[str, object]:
    return {"reasoning": {"enabled": wanted != "none"}}


def _template_switch(wanted: str) -> dict[str, object]:
    return {"chat_template_kwargs": {"enable_thinking": wanted != "none"}}


def _none_or_default(wanted: str) -> dict[str, object]:
    return {"reasoning_effort": "none" if wanted == "none" else "default"}


def _left_out(_wanted: str) -> dict[str, object]:
    return {}


@dataclass(frozen=True, slots=True)
class Dialect:
    """One row: whose models, what is renamed, what must not be sent, how effort is written."""

    provider: re.Pattern[str]
    models: re.Pattern[str]
    effort: _Spelling
    renamed: Mapping[str, str]
    dropped: frozenset[str]


def _row(
    provider: str,
    models: str,
    effort: _Spelling,
    *,
    renamed: Mapping[str, str] | None = None,
    dropped: frozenset[str] = frozenset(),
) -> Dialect:
    return Dialect(re.compile(provider), re.compile(models), effort, renamed or {}, dropped)


def _openai_reasoning(models: str, *efforts: str) -> Dialect:
    """These refuse a request that holds `max_tokens`, or another temperature than 1."""
    effort = _as_effort(*efforts) if efforts else _left_out
    whole = r"(?:.*/)?(?:" + models + ")"
    return _row(
        r"", whole, effort, renamed={"max_tokens": "max_completion_tokens"}, dropped=_SAMPLING
    )


_DIALECTS = (
    # It knows each model's own parameters and leaves out what is not taken.
    _row(r"openrouter$", r"", _nested),
    # Claude from Opus 4.7 on and of the fifth generation refuses another temperature than 1; the
    # compatible endpoint ignores reasoning_effort.
    _row(
        r"anthropic$",
        r"claude-(?:opus-4-[7-9]|[a-z]+-(?:[5-9]|\d\d)(?!\d))",
        _left_out,
        dropped=_SAMPLING,
    ),
    _row(r"anthropic$", r"", _left_out),
    # Thinking cannot be turned off in these.
    _row(r"gemini$", r"gemini-(?:2\.5-pro|[3-9])", _as_effort("minimal", "low", "medium", "high")),
    _row(r"gemini$", r"gemini-2\.5", _as_effort("none", "minimal", "low", "medium", "high")),
    _row(r"gemini$", r"", _left_out),
    _row(r"groq$", r"openai/gpt-oss", _as_effort("low", "medium", "high")),
    _row(r"groq$", r"qwen/", _none_or_default),
    _row(r"groq$", r"", _left_out),
    _row(r"together$", r"openai/gpt-oss", _as_effort("low", "medium", "high")),
    _row(r"together$", r"", _switch),
    _row(r"ollama$", r"", _as_effort("none", "low", "medium", "high")),
    _row(r"vllm$", r"(?i:.*qwen)", _template_switch),
    _row(r"vllm$", r"", _as_effort("none", "low", "medium", "high")),
    _openai_reasoning(r"o1-(?:mini|preview)"),
    _openai_reasoning(r"o[134](?:-|$)", "low", "medium", "high"),
    _openai_reasoning(r"gpt-5(?:\.\d+)?-pro", "high"),
    _openai_reasoning(r"gpt-5(?!-chat|\.)", "minimal", "low", "medium", "high"),
    _openai_reasoning(r"gpt-5\.1", "none", "low", "medium", "high"),
    _openai_reasoning(r"gpt-(?:5\.|[6-9])(?!.*-chat)", "none", "low", "medium", "high", "xhigh"),
    _row(r"openai$", r"", _left_out),
    # Whatever a base URL serves, and the offline teacher: as it was asked.
    _row(r"", r"", _as_effort(*EFFORTS)),
)


def adapt(provider: str, model: str, parameters: Mapping[str, object]) -> dict[str, object]:
    """`parameters` as this model of this provider takes them; `parameters` stays as it is."""
    dialect = dialect_of(provider, model)
    sent = {
        dialect.renamed.get(name, name): value
        for name, value in parameters.items()
        if name not in dialect.dropped
    }
    effort = sent.pop("reasoning_effort", None)
    if effort is not None:
        sent |= dialect.effort(str(effort))
    return sent


@lru_cache(maxsize=256)
def dialect_of(provider: str, model: str) -> Dialect:
    """The first row of the table that fits; the last one fits all."""
    return next(
        row for row in _DIALECTS if row.provider.match(provider) and row.models.match(model)
    )


def nearest_effort(wanted: str, accepted: tuple[str, ...]) -> str:
    """The accepted effort that is nearest to `wanted`; of two as near, the higher one."""
    if wanted in accepted or wanted not in EFFORTS:
        return wanted
    place = EFFORTS.index(wanted)
    return min(accepted, key=lambda effort: (abs(EFFORTS.index(effort) - place), effort == "none"))
