"""The values that travel between the rooms. Frozen, without Django, without a clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from distill.logic.reasons import Reason, Stage

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat: plain text, newlines kept."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Request:
    """One distinct question to a model; its key is `request_key(request)`.

    `teacher` is the configured name (`provider:model`). `parameters` holds everything beside the
    messages that can change the reply (temperature, max_tokens, response_format, seed, …), as the
    protocol spells it. `draw` tells several wanted answers to the same question apart.
    """

    teacher: str
    messages: tuple[Message, ...]
    parameters: Mapping[str, object] = field(default_factory=dict)
    draw: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counted them.

    `cached_tokens` are those of the prompt that its cache held; `reasoning_tokens` those of the
    completion that nobody sees. Both are counted in the totals too.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a provider's headers say of one of its limits; None where they are silent.

    `limit` a minute, `remaining` now, and the seconds until it is whole again.
    """

    limit: float | None = None
    remaining: float | None = None
    reset_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class RateLimits:
    """A provider's rate limits as its headers tell them with a reply."""

    requests: Allowance = Allowance()
    input_tokens: Allowance = Allowance()
    output_tokens: Allowance = Allowance()


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer of a model: an envelope of the protocol with non-empty content.

    `raw` is the body as it arrived; `text` the assistant's content, `reasoning` what it thought
    before, kept apart; `model` the id that the provider says answered (which may differ from the
    one asked for).
    """

    raw: bytes
    text: str
    finish_reason: str
    model: str
    usage: Usage | None
    latency_ms: int
    reasoning: str = ""
    rate_limits: RateLimits | None = None

    @property
    def is_cut_off(self) -> bool:
        """It reached the limit of tokens that it was allowed."""
        return self.finish_reason in ("length", "max_tokens")


@dataclass(frozen=True, slots=True)
class SampleText:
    """What a teacher is given of a sample, and what names it."""

    id: int
    key: str
    text: str
    template_name: str = ""
    domain: str = ""
    instruction: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class CompletionText:
    """What was answered for a sample × draw: as much of it as rules, judges and retries read."""

    id: int
    attempt: int
    template_name: str
    text: str
    fields: Mapping[str, str]
    finish_reason: str = ""
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class RuleText:
    """What the rules look at of one completion.

    `text` is what people read, `source` the passage that it was asked about (empty: not known),
    `fields` the parsed ones by name. `tokens` are the completion's as the provider counted them,
    None where it did not.
    """

    text: str
    source: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why one check dropped a completion: the reason, and what was found where.

    `start` and `end` are character offsets into the completion's text, or None where the finding
    has no place (a missing word, a low score). `detail` is a short text for people.
    """

    reason: Reason
    detail: str
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Scores:
    """What one judge said of one completion. `by_dimension` maps each dimension to 0…1."""

    judge: str
    by_dimension: Mapping[str, float]
    rationale: str = ""
    flags: tuple[str, ...] = ()

    @property
    def mean(self) -> float:
        return sum(self.by_dimension.values()) / len(self.by_dimension)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What SampleGate decided: every failed check is in `evidence`; `stage` is the first failing.

    `flags` are the findings that reject nothing, but must be looked at by a person before any
    export. `scores` is the score vector: by judge, then by dimension.
    """

    passed: bool
    stage: Stage | None
    evidence: tuple[Evidence, ...]
    mean_score: float | None
    flags: tuple[Evidence, ...] = ()
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def reasons(self) -> tuple[Reason, ...]:
        return tuple(dict.fromkeys(finding.reason for finding in self.evidence))


class Teacher(Protocol):
    """Whatever answers requests. Raises `TeacherError` for every failure, nothing else."""

    async def ask(self, request: Request) -> Reply: ...
