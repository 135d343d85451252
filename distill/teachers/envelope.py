"""What came back, read: the reply inside an envelope of the protocol, or which failure it was.

    429, 503, 529            RATE_LIMITED, with `retry_after` where the provider says when
    402, exhausted credit    OUT_OF_BUDGET (the account's credit, not the run's budget)
    401, 403, a wrong key    AUTHENTICATION
    400, 404, 422 …          BAD_REQUEST; CONTEXT_TOO_LONG and REFUSED where the body says so
    408                      TIMEOUT
    other 5xx                SERVER
    200 that is no envelope  BROKEN_ENVELOPE
    200 with a refusal       REFUSED
    200 without any text     EMPTY, or TRUNCATED where the tokens ran out before the first word

A reply that was cut off but has text is a reply, with its `finish_reason`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

import orjson

from distill.logic.errors import FailureKind, TeacherError
from distill.logic.types import RateLimits, Reply, Usage
from distill.teachers.endpoint import Endpoint
from distill.teachers.rate_limits import read_rate_limits
from distill.teachers.retry_after import read_retry_after

_CUT_OFF = ("length", "max_tokens")
_MAX_TOKENS = 10**9

_TOO_LONG = re.compile(
    r"context[ _](?:length|window|size|limit)|maximum context|prompt is too long|too many tokens"
    r"|max_model_len|input token count .{0,40}exceeds|reduce the length of the messages",
    re.IGNORECASE,
)
# Larger than a whole minute's limit: no waiting helps.
_TOO_LARGE = re.compile(r"request too large", re.IGNORECASE)
_FILTERED = re.compile(
    r"content[ _](?:filter|policy)|responsible ?ai|moderation|was flagged", re.IGNORECASE
)
_NO_CREDIT = re.compile(r"insufficient_quota|insufficient credits|credit balance", re.IGNORECASE)
_WRONG_KEY = re.compile(r"api[ _]?key[ _](?:not valid|invalid)|invalid api key", re.IGNORECASE)
_THOUGHT = re.compile(
    r"\s*<(think|thinking|thought)>(.*?)(?:</\1>\s*|\Z)", re.DOTALL | re.IGNORECASE
)
_THOUGHT_END = "</think>"


def read_reply(
    raw: bytes, *, latency_ms: int, headers: Mapping[str, str], endpoint: Endpoint
) -> Reply:
    """The reply inside the body of an HTTP 200.

    `text` is what the provider wrote, without a leading block of thought: that stands in
    `reasoning`, as does what came in fields of its own. Raises TeacherError (BROKEN_ENVELOPE,
    REFUSED, EMPTY, TRUNCATED, or what an error object inside says) with the body and its usage.
    """
    limits = read_rate_limits(headers, now=time.time())
    try:
        envelope = orjson.loads(raw)
        status = _error_status(envelope)
        if status is None:
            return _read_envelope(envelope, raw, latency_ms, limits, endpoint)
    except (orjson.JSONDecodeError, LookupError, TypeError, AttributeError) as error:
        message = f"{endpoint.provider} answered 200, but not in the protocol's form: {error}"
        kind = FailureKind.BROKEN_ENVELOPE
        raise _unusable(kind, message, raw, latency_ms, limits) from error
    raise failure_of_status(status, headers, raw, latency_ms=latency_ms, endpoint=endpoint)


def failure_of_status(
    status: int, headers: Mapping[str, str], raw: bytes, *, latency_ms: int, endpoint: Endpoint
) -> TeacherError:
    """The error that a status other than 200 stands for, in the provider's own words."""
    said = _error_text(raw)
    kind = _kind_of(status, raw[:20_000].decode("utf-8", "replace"))
    retry_after = None
    if kind in (FailureKind.RATE_LIMITED, FailureKind.SERVER):
        retry_after = read_retry_after(headers, raw, now=time.time())
    if 300 <= status < 400:
        said = f"it redirects to {headers.get('Location', 'elsewhere')}; use that base URL"
    return TeacherError(
        kind,
        f"{endpoint.provider} answered {status}: {said}",
        status=status,
        retry_after=retry_after,
        raw=raw,
        latency_ms=latency_ms,
        usage=_usage_inside(raw),
        rate_limits=read_rate_limits(headers, now=time.time()),
    )


def _read_envelope(
    envelope: Any, raw: bytes, latency_ms: int, limits: RateLimits | None, endpoint: Endpoint
) -> Reply:
    choice = envelope["choices"][0]
    message = choice["message"]
    finish_reason = str(choice.get("finish_reason") or "")
    refusal = message.get("refusal")
    # Gemini adds what its filter found: "content_filter: …".
    if refusal or finish_reason.startswith("content_filter"):
        said = f"{endpoint.provider} refused: {refusal or 'its content filter stopped the reply'}"
        raise _unusable(FailureKind.REFUSED, said, raw, latency_ms, limits)
    text, reasoning = _split_thought(_join_parts(message.get("content")))
    if not text.strip():
        kind, said = _without_text(finish_reason)
        raise _unusable(kind, f"{endpoint.provider} {said}", raw, latency_ms, limits)
    return Reply(
        raw=raw,
        text=text,
        finish_reason=finish_reason,
        model=str(envelope.get("model") or endpoint.model),
        usage=read_usage(envelope.get("usage")),
        latency_ms=latency_ms,
        reasoning=reasoning or _read_reasoning(message),
        rate_limits=limits,
    )


def _without_text(finish_reason: str) -> tuple[FailureKind, str]:
    if finish_reason in _CUT_OFF:
        said = "used up max_tokens before the first word of its answer: allow it more"
        return FailureKind.TRUNCATED, said
    return FailureKind.EMPTY, f"answered without any text (finish_reason: {finish_reason})"


def _unusable(
    kind: FailureKind, message: str, raw: bytes, latency_ms: int, limits: RateLimits | None
) -> TeacherError:
    return TeacherError(
        kind,
        message,
        status=200,
        raw=raw,
        latency_ms=latency_ms,
        usage=_usage_inside(raw),
        rate_limits=limits,
    )


def _split_thought(content: str) -> tuple[str, str]:
    """The answer, and the thought before it where a local model wrote both into its content."""
    if _THOUGHT_END not in content and content[:16].lstrip()[:1] != "<":
        return content, ""
    block = _THOUGHT.match(content)
    if block:
        return content[block.end() :], block[2].strip()
    # Some chat templates put the opening mark into the prompt.
    thought, mark, answer = content.partition(_THOUGHT_END)
    if mark and "<think>" not in content:
        return answer.lstrip(), thought.strip()
    return content, ""


def _read_reasoning(message: Mapping[str, Any]) -> str:
    """What the model thought: a text in one of two fields, or OpenRouter's list of parts."""
    for name in ("reasoning", "reasoning_content"):
        text = message.get(name)
        if isinstance(text, str) and text:
            return text
    parts = message.get("reasoning_details")
    if not isinstance(parts, list):
        return ""
    texts = (
        part.get("text") or part.get("summary") or "" for part in parts if isinstance(part, dict)
    )
    return "\n".join(text for text in texts if isinstance(text, str) and text)


def _join_parts(content: Any) -> str:
    """Content is a string; a few providers send a list of parts instead."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part.get("type") == "text")
    if content is None:
        return ""
    if not isinstance(content, str):
        raise TypeError("the content is neither a string nor a list of parts")
    return content


def read_usage(usage: Any) -> Usage | None:
    """The provider's token counts; None where they are missing or no sensible numbers.

    Cached tokens stand in `prompt_tokens_details` (OpenAI and most), beside the counts (Together)
    or as `prompt_cache_hit_tokens` (DeepSeek). Where the total is more than its parts, the rest
    was thought and is charged as output (Gemini and Grok count it apart).
    """
    try:
        prompt = _count(usage["prompt_tokens"])
        completion = _count(usage["completion_tokens"])
        total = _count(usage.get("total_tokens") or 0)
        cached = _detail(usage, "prompt_tokens_details", "cached_tokens")
        cached = cached or _count(
            usage.get("cached_tokens") or usage.get("prompt_cache_hit_tokens") or 0
        )
        reasoning = _detail(usage, "completion_tokens_details", "reasoning_tokens")
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None
    completion = max(completion, total - prompt)
    return Usage(prompt, completion, min(cached, prompt), min(reasoning, completion))


def _detail(usage: Mapping[str, Any], group: str, name: str) -> int:
    details = usage.get(group)
    return _count(details.get(name) or 0) if isinstance(details, dict) else 0


def _count(value: Any) -> int:
    number = int(value)
    if not 0 <= number <= _MAX_TOKENS:
        raise ValueError("no count of tokens")
    return number


def _usage_inside(raw: bytes) -> Usage | None:
    """The token counts of a body that is no usable reply."""
    try:
        return read_usage(orjson.loads(raw).get("usage"))
    except (orjson.JSONDecodeError, AttributeError):
        return None


def _error_status(envelope: Any) -> int | None:
    """The status of an error that came inside an HTTP 200, as OpenRouter sends them."""
    error = envelope.get("error") or envelope["choices"][0].get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and 400 <= code < 600 else None


_KINDS = {
    401: FailureKind.AUTHENTICATION,
    402: FailureKind.OUT_OF_BUDGET,
    403: FailureKind.AUTHENTICATION,
    408: FailureKind.TIMEOUT,
    409: FailureKind.SERVER,
    413: FailureKind.CONTEXT_TOO_LONG,
    429: FailureKind.RATE_LIMITED,
    503: FailureKind.RATE_LIMITED,
    529: FailureKind.RATE_LIMITED,
}

# What the body says goes before the status: statuses, words, kind. The first that fits counts.
_WORDS = (
    ((400, 402, 403, 429), _NO_CREDIT, FailureKind.OUT_OF_BUDGET),
    ((400, 422), _TOO_LONG, FailureKind.CONTEXT_TOO_LONG),
    ((429,), _TOO_LARGE, FailureKind.CONTEXT_TOO_LONG),
    ((400, 403), _FILTERED, FailureKind.REFUSED),
    ((400,), _WRONG_KEY, FailureKind.AUTHENTICATION),
)


def _kind_of(status: int, body: str) -> FailureKind:
    for statuses, words, kind in _WORDS:
        if status in statuses and words.search(body):
            return kind
    default = FailureKind.SERVER if status >= 500 else FailureKind.BAD_REQUEST
    return _KINDS.get(status, default)


def _error_text(raw: bytes) -> str:
    """The provider's own words, at most 300 characters."""
    try:
        body = orjson.loads(raw)
        error = body.get("error", body) if isinstance(body, dict) else body[0]["error"]
        words = error.get("message") or error if isinstance(error, dict) else error
    except (orjson.JSONDecodeError, LookupError, TypeError):
        words = raw[:1000].decode("utf-8", "replace")
    return " ".join(str(words).split())[:300] or "no explanation"
