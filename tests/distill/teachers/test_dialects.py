"""Each row of the table of dialects: what leaves for which model of which provider."""

from __future__ import annotations

import pytest

from distill.teachers.dialects import EFFORTS, adapt, nearest_effort

ASKED = {"temperature": 0.2, "max_tokens": 9, "seed": 1, "reasoning_effort": "xhigh"}
PLAIN = {"temperature": 0.2, "max_tokens": 9, "seed": 1}
REASONING = {"max_completion_tokens": 9, "seed": 1}
UNSAMPLED = {"max_tokens": 9, "seed": 1}


@pytest.mark.parametrize(
    ("teacher", "sent"),
    [
        ("openai:o1-mini", REASONING),
        ("openai:o3-mini", REASONING | {"reasoning_effort": "high"}),
        ("openai:gpt-5", REASONING | {"reasoning_effort": "high"}),
        ("openai:gpt-5-mini", REASONING | {"reasoning_effort": "high"}),
        ("openai:gpt-5-pro", REASONING | {"reasoning_effort": "high"}),
        ("openai:gpt-5.1", REASONING | {"reasoning_effort": "high"}),
        ("openai:gpt-5.2", REASONING | {"reasoning_effort": "xhigh"}),
        ("openai:gpt-5.4-mini", REASONING | {"reasoning_effort": "xhigh"}),
        ("openai:gpt-6", REASONING | {"reasoning_effort": "xhigh"}),
        ("openai:gpt-5-chat-latest", PLAIN),
        ("openai:gpt-4o", PLAIN),
        ("openai:gpt-3.5-turbo", PLAIN),
        ("openrouter:openai/gpt-5", PLAIN | {"reasoning": {"effort": "xhigh"}}),
        ("openrouter:anthropic/claude-opus-5-5", PLAIN | {"reasoning": {"effort": "xhigh"}}),
        ("anthropic:claude-sonnet-4-5-20250929", PLAIN),
        ("anthropic:claude-opus-4-1-20250805", PLAIN),
        ("anthropic:claude-opus-4-8", UNSAMPLED),
        ("anthropic:claude-sonnet-5", UNSAMPLED),
        ("anthropic:claude-haiku-5-5", UNSAMPLED),
        ("gemini:gemini-2.0-flash", PLAIN),
        ("gemini:gemini-2.5-flash", PLAIN | {"reasoning_effort": "high"}),
        ("gemini:gemini-3.8-flash", PLAIN | {"reasoning_effort": "high"}),
        ("groq:openai/gpt-oss-20b", PLAIN | {"reasoning_effort": "high"}),
        ("groq:qwen/qwen3-32b", PLAIN | {"reasoning_effort": "default"}),
        ("groq:llama-3.3-70b-versatile", PLAIN),
        ("together:openai/gpt-oss-20b", PLAIN | {"reasoning_effort": "high"}),
        ("together:zai-org/GLM-5", PLAIN | {"reasoning": {"enabled": True}}),
        ("ollama:gpt-oss:20b", PLAIN | {"reasoning_effort": "high"}),
        ("vllm:openai/gpt-oss-20b", PLAIN | {"reasoning_effort": "high"}),
        ("vllm:Qwen/Qwen3-8B", PLAIN | {"chat_template_kwargs": {"enable_thinking": True}}),
        ("host.example:some-model", PLAIN | {"reasoning_effort": "xhigh"}),
        ("host.example:gpt-5.1", REASONING | {"reasoning_effort": "high"}),
        ("offline:extractive", PLAIN | {"reasoning_effort": "xhigh"}),
    ],
)
def test_what_leaves(teacher, sent):
    provider, _, model = teacher.partition(":")
    asked = dict(ASKED)
    assert adapt(provider, model, asked) == sent
    assert asked == ASKED


@pytest.mark.parametrize(
    ("teacher", "sent"),
    [
        ("openai:o3", {"reasoning_effort": "low"}),
        ("openai:gpt-5", {"reasoning_effort": "minimal"}),
        ("openai:gpt-5.1", {"reasoning_effort": "none"}),
        ("gemini:gemini-3-pro", {"reasoning_effort": "minimal"}),
        ("gemini:gemini-2.5-flash", {"reasoning_effort": "none"}),
        ("groq:qwen/qwen3-32b", {"reasoning_effort": "none"}),
        ("together:Qwen/Qwen3.5-9B", {"reasoning": {"enabled": False}}),
        ("ollama:qwen3:8b", {"reasoning_effort": "none"}),
        ("vllm:Qwen/Qwen3-8B", {"chat_template_kwargs": {"enable_thinking": False}}),
        ("openrouter:qwen/qwen3-8b", {"reasoning": {"effort": "none"}}),
    ],
)
def test_no_thinking_where_it_can_be_turned_off(teacher, sent):
    provider, _, model = teacher.partition(":")
    assert adapt(provider, model, {"reasoning_effort": "none"}) == sent


def test_without_an_effort_nothing_is_said_of_it():
    for teacher in ("openai:o3", "openrouter:openai/o3", "vllm:Qwen/Qwen3-8B"):
        provider, _, model = teacher.partition(":")
        assert adapt(provider, model, {}) == {}


def test_the_nearest_effort_is_the_higher_of_two():
    assert nearest_effort("minimal", ("none", "low", "medium", "high")) == "low"
    assert nearest_effort("none", ("low", "medium", "high")) == "low"
    assert nearest_effort("xhigh", ("low", "high")) == "high"
    assert nearest_effort("own-word", ("low", "high")) == "own-word"
    for effort in EFFORTS:
        assert nearest_effort(effort, EFFORTS) == effort
