"""Our reader against the envelopes that each provider documents, and against bad ones."""

from __future__ import annotations

import contextlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.logic.errors import FailureKind, TeacherError
from distill.logic.types import Reply, Usage
from distill.teachers.endpoint import Endpoint
from distill.teachers.envelope import failure_of_status, read_reply, read_usage
from distill.teachers.openai_protocol import reread


def read(body: Any, provider: str = "test") -> Reply:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    endpoint = Endpoint("http://host/v1", "", "asked-model", provider)
    return read_reply(raw, latency_ms=7, headers={}, endpoint=endpoint)


def fail(body: Any) -> TeacherError:
    with pytest.raises(TeacherError) as caught:
        read(body)
    return caught.value


def envelope(
    message: dict[str, Any], usage: dict[str, Any] | None = None, finish: str | None = "stop"
) -> dict[str, Any]:
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "some-model",
        "choices": [
            {"index": 0, "finish_reason": finish, "message": {"role": "assistant"} | message}
        ],
        "usage": usage,
    }


OPENAI = envelope(
    {"content": "Because.", "refusal": None, "annotations": []},
    {
        "prompt_tokens": 2006,
        "completion_tokens": 300,
        "total_tokens": 2306,
        "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 192, "audio_tokens": 0},
    },
)
OPENROUTER = envelope(
    {
        "content": "Because.",
        "refusal": None,
        "reasoning": "First, …",
        "reasoning_details": [{"type": "reasoning.text", "text": "First, …", "format": None}],
    },
    {
        "prompt_tokens": 8,
        "completion_tokens": 11,
        "total_tokens": 19,
        "cost": 0.00078,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 4},
    },
) | {"provider": "OpenAI"}
ANTHROPIC = envelope(
    {"content": "Because."},
    {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25},
) | {"service_tier": None, "system_fingerprint": None}
GEMINI = envelope(
    {"content": "Because."},
    {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 117},
)
VLLM = envelope(
    {"content": "Because.", "reasoning": "Let me see.", "reasoning_content": "Let me see."},
    {
        "prompt_tokens": 20,
        "total_tokens": 60,
        "completion_tokens": 40,
        "prompt_tokens_details": None,
    },
)
OLD_VLLM = envelope({"content": "Because.", "reasoning_content": "Let me see."}, VLLM["usage"])
OLLAMA = envelope(
    {"content": "Because.", "reasoning": "Let me see."},
    {"prompt_tokens": 26, "completion_tokens": 298, "total_tokens": 324},
) | {"system_fingerprint": "fp_ollama"}
GROQ = envelope(
    {"content": "Because.", "reasoning": "Let me see."},
    {
        "queue_time": 0.03,
        "prompt_tokens": 18,
        "prompt_time": 0.0006,
        "completion_tokens": 56,
        "total_tokens": 74,
        "total_time": 0.46,
    },
) | {"x_groq": {"id": "req_1"}}
TOGETHER = envelope(
    {"content": "Because.", "reasoning": "Let me see.", "tool_calls": []},
    {"prompt_tokens": 49, "completion_tokens": 34, "total_tokens": 83, "cached_tokens": 32},
)
DEEPSEEK = envelope(
    {"content": "Because.", "reasoning_content": "Let me see."},
    {
        "prompt_tokens": 50,
        "completion_tokens": 34,
        "total_tokens": 84,
        "prompt_cache_hit_tokens": 48,
    },
)
GROK = envelope(
    {"content": "Because."},
    {
        "prompt_tokens": 10,
        "completion_tokens": 50,
        "total_tokens": 260,
        "completion_tokens_details": {"reasoning_tokens": 200},
    },
)


@pytest.mark.parametrize(
    ("body", "reasoning", "usage"),
    [
        pytest.param(OPENAI, "", Usage(2006, 300, 1920, 192), id="openai"),
        pytest.param(OPENROUTER, "First, …", Usage(8, 11, 0, 4), id="openrouter"),
        pytest.param(ANTHROPIC, "", Usage(20, 5), id="anthropic"),
        pytest.param(GEMINI, "", Usage(12, 105), id="gemini"),
        pytest.param(VLLM, "Let me see.", Usage(20, 40), id="vllm"),
        pytest.param(OLD_VLLM, "Let me see.", Usage(20, 40), id="vllm-0.8"),
        pytest.param(OLLAMA, "Let me see.", Usage(26, 298), id="ollama"),
        pytest.param(GROQ, "Let me see.", Usage(18, 56), id="groq"),
        pytest.param(TOGETHER, "Let me see.", Usage(49, 34, 32), id="together"),
        pytest.param(DEEPSEEK, "Let me see.", Usage(50, 34, 48), id="deepseek"),
        pytest.param(GROK, "", Usage(10, 250, 0, 200), id="grok"),
    ],
)
def test_each_providers_envelope_is_read(body, reasoning, usage):
    reply = read(body)
    assert (reply.text, reply.reasoning, reply.usage) == ("Because.", reasoning, usage)
    assert (reply.model, reply.finish_reason, reply.latency_ms) == ("some-model", "stop", 7)
    assert reread(reply.raw, "test:asked-model", 7) == reply


@pytest.mark.parametrize(
    ("content", "text", "reasoning"),
    [
        ("<think>\nHm.\n</think>\n\nBecause.", "Because.", "Hm."),
        (" <thinking>Hm.</thinking>Because.", "Because.", "Hm."),
        ("<thought>Hm.</thought>\nBecause.", "Because.", "Hm."),
        ("Hm, so it is.\n</think>\n\nBecause.", "Because.", "Hm, so it is."),
        ("<think></think>Because.", "Because.", ""),
        ("Because.", "Because.", ""),
        ("  Because.\n\n", "  Because.\n\n", ""),
        ("x < y", "x < y", ""),
        ("<b>Because.</b>", "<b>Because.</b>", ""),
        ("It says <think>Hm.</think>", "It says <think>Hm.</think>", ""),
    ],
)
def test_a_leading_thought_is_kept_apart(content, text, reasoning):
    reply = read(envelope({"content": content}))
    assert (reply.text, reply.reasoning) == (text, reasoning)


def test_reasoning_in_parts_is_joined():
    details = [
        {"type": "reasoning.summary", "summary": "One."},
        {"type": "reasoning.encrypted", "data": "xyz"},
        {"type": "reasoning.text", "text": "Two."},
        "nonsense",
    ]
    assert read(envelope({"content": "x", "reasoning_details": details})).reasoning == "One.\nTwo."


@pytest.mark.parametrize("reasoning", [None, 7, [], {"a": 1}])
def test_reasoning_that_is_no_text_is_left_out(reasoning):
    message = {"content": "x", "reasoning": reasoning, "reasoning_details": reasoning}
    assert not read(envelope(message)).reasoning


@pytest.mark.parametrize(
    "message", [{"content": ""}, {"content": None}, {}, {"content": "<think>Hm, on and"}]
)
@pytest.mark.parametrize("finish", ["length", "max_tokens"])
def test_tokens_used_up_before_the_first_word_are_truncated(message, finish):
    error = fail(envelope(message, OPENAI["usage"], finish))
    assert error.kind is FailureKind.TRUNCATED
    assert error.may_be_billed
    assert not error.kind.is_retryable
    assert error.usage == Usage(2006, 300, 1920, 192)
    assert orjson.loads(error.raw)["usage"] == OPENAI["usage"]


def test_cut_off_with_text_is_a_reply():
    reply = read(envelope({"content": "Beca"}, finish="length"))
    assert (reply.text, reply.finish_reason) == ("Beca", "length")


def test_no_text_with_a_regular_end_is_empty():
    assert fail(envelope({"content": "<think>All of it.</think>"})).kind is FailureKind.EMPTY


def test_geminis_filter_says_what_it_found():
    error = fail(envelope({}, finish="content_filter: PROHIBITED_CONTENT"))
    assert error.kind is FailureKind.REFUSED


def test_a_broken_envelope_still_tells_its_usage():
    error = fail({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 6}})
    assert error.kind is FailureKind.BROKEN_ENVELOPE
    assert error.usage == Usage(5, 6)
    assert fail(b'{"usage": {"prompt_tok').usage is None


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, [{"error": {"code": 400, "message": "API key not valid."}}], "authentication"),
        (
            400,
            {"type": "error", "error": {"message": "Your credit balance is too low"}},
            "out_of_budget",
        ),
        (400, {"error": {"message": "prompt is too long: 210000 tokens"}}, "context_too_long"),
        (
            400,
            {"error": {"message": "input length and `max_tokens` exceed context limit"}},
            "context_too_long",
        ),
        (
            400,
            {"error": {"message": "Please reduce the length of the messages or completion."}},
            "context_too_long",
        ),
        (
            400,
            {"error": {"message": "The input token count (9) exceeds the maximum number"}},
            "context_too_long",
        ),
        (
            429,
            {"error": {"message": "Request too large for gpt-4o on tokens per min (TPM)"}},
            "context_too_long",
        ),
        (
            429,
            [{"error": {"code": 429, "message": "You exceeded your current quota, please check"}}],
            "rate_limited",
        ),
        (429, {"error": {"message": "Too many tokens, please wait"}}, "rate_limited"),
        (429, {"error": {"code": "insufficient_quota", "message": "…"}}, "out_of_budget"),
        (403, {"error": {"code": 403, "message": "x requires moderation"}}, "refused"),
        (529, {"type": "error", "error": {"type": "overloaded_error"}}, "rate_limited"),
        (500, {"error": {"message": "oops"}}, "server"),
        (502, b"bad gateway", "server"),
        (503, b"", "rate_limited"),
        (504, b"", "server"),
    ],
)
def test_each_providers_errors_have_their_kind(status, body, kind):
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    endpoint = Endpoint("http://host/v1", "", "m", "test")
    error = failure_of_status(status, {}, raw, latency_ms=1, endpoint=endpoint)
    assert error.kind == kind
    assert (error.raw, error.status) == (raw, status)


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [],
        "5",
        {},
        {"prompt_tokens": -5, "completion_tokens": 1},
        {"prompt_tokens": 1, "completion_tokens": 1e400},
        {"prompt_tokens": 1, "completion_tokens": 10**12},
        {"prompt_tokens": 1, "completion_tokens": None},
        {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": -3},
    ],
)
def test_counts_that_make_no_sense_are_none(usage):
    assert read_usage(usage) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


@given(JSON, JSON, JSON)
def test_nothing_but_a_teacher_error_is_raised(content, usage, details):
    body = envelope({"content": content, "reasoning_details": details, "refusal": None})
    body["usage"] = {
        "prompt_tokens": 3,
        "completion_tokens": usage,
        "prompt_tokens_details": details,
        "cached_tokens": usage,
    }
    try:
        raw = orjson.dumps(body)
    except TypeError:  # an integer beyond 64 bits cannot have come over the wire
        return
    with contextlib.suppress(TeacherError):
        reply = read(raw)
        assert reply.text.strip()
        assert reply.usage is None or 0 <= reply.usage.cached_tokens <= 3
