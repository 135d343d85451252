"""Names of teachers: what is understood, what is refused, where each one answers."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.logic.errors import FailureKind, InputError, TeacherError
from distill.logic.types import Message, Request
from distill.teachers.endpoint import Endpoint
from distill.teachers.offline import offline_teacher
from distill.teachers.registry import (
    PROVIDERS,
    canonical_name,
    is_free,
    is_offline,
    key_variable,
    open_teachers,
    resolve,
    resolve_provider,
)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for provider in PROVIDERS.values():
        monkeypatch.delenv(provider.key_variable, raising=False)
        monkeypatch.delenv(provider.base_url_variable, raising=False)
    for variable in ("OFFLINE_TEACHER_PORT", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.lower(), raising=False)


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("openai:gpt-4o", "openai:gpt-4o"),
        ("openai:openai/gpt-4o", "openai:gpt-4o"),
        (" OpenAI: gpt-4o ", "openai:gpt-4o"),
        ("openrouter:gpt-4o", "openrouter:openai/gpt-4o"),
        ("openrouter:claude-sonnet-4", "openrouter:anthropic/claude-sonnet-4"),
        ("openrouter:llama-3.3-70b", "openrouter:meta-llama/llama-3.3-70b"),
        ("openrouter:qwen/qwen3-8b:free", "openrouter:qwen/qwen3-8b:free"),
        ("ollama:llama3.2:3b", "ollama:llama3.2:3b"),
        ("vllm:Qwen/Qwen3-8B", "vllm:Qwen/Qwen3-8B"),
        ("offline:rubric", "offline:rubric"),
        ("https://host:8443/v1#my/model", "https://host:8443/v1#my/model"),
    ],
)
def test_names_are_completed_and_the_change_is_said(typed, name):
    canonical = canonical_name(typed)
    assert canonical.name == name
    assert bool(canonical.note) == (typed.strip() != name)
    assert canonical_name(name) == canonical_name(canonical.name)


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("gpt-4o", "openai:gpt-4o"),
        ("opnai:gpt-4o", "did you mean openai"),
        ("nobody:model", "one of openai"),
        ("openai:", "names no model"),
        ("", "names no provider"),
        ("offline:extract", "offline:extractive"),
        ("openrouter:strange", "vendor/model"),
        ("https://host/v1", "https://host/v1#model-id"),
        ("https://#model", "https://host/v1#model-id"),
        ("http://host:99999/v1#m", "https://host/v1#model-id"),
        ("https://me:secret@host/v1#m", "TEACHER_API_KEY_HOST"),
    ],
)
def test_what_is_not_understood_gets_a_hint(typed, hint):
    with pytest.raises(InputError, match=hint):
        canonical_name(typed)


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_a_name_or_an_input_error(text):
    for typed in (text, f"openai:{text}", f"openrouter:{text}", f"https://{text}"):
        try:
            name = canonical_name(typed).name
        except InputError:
            continue
        assert canonical_name(name).name == name


def test_a_missing_key_names_its_variable():
    with pytest.raises(InputError, match="GEMINI_API_KEY"):
        resolve("gemini:gemini-2.5-flash")


def test_a_broken_key_is_refused(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "two\nlines")
    with pytest.raises(InputError, match="OPENAI_API_KEY"):
        resolve("openai:gpt-4o")


def test_key_and_base_url_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://proxy.example/openai/v1/")
    endpoint = resolve("openai:gpt-4o")
    assert endpoint == Endpoint("https://proxy.example/openai/v1", "k", "gpt-4o", "openai")


@pytest.mark.parametrize(
    ("variable", "name", "base_url"),
    [
        ("VLLM_BASE_URL", "vllm:m", "http://gpu:8000/v1"),
        ("OLLAMA_BASE_URL", "ollama:m", "http://gpu:8000/v1"),
    ],
)
def test_a_base_url_without_a_path_gets_the_usual_one(monkeypatch, variable, name, base_url):
    monkeypatch.setenv(variable, "http://gpu:8000")
    assert resolve(name).base_url == base_url


def test_a_base_url_that_is_none_names_its_variable(monkeypatch):
    monkeypatch.setenv("VLLM_BASE_URL", "gpu:8000")
    with pytest.raises(InputError, match="VLLM_BASE_URL"):
        resolve("vllm:m")


def test_any_base_url_gets_the_key_of_its_own_host_alone(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "not-for-you")
    assert resolve("https://api.example.com/v1#m").api_key == ""
    monkeypatch.setenv("TEACHER_API_KEY_API_EXAMPLE_COM", "k")
    endpoint = resolve("https://api.example.com/v1/#m")
    assert endpoint == Endpoint("https://api.example.com/v1", "k", "m", "api.example.com")


def test_the_offline_teacher_is_found_by_port_or_url(monkeypatch):
    assert resolve("offline:rubric").base_url == "http://127.0.0.1:8010/v1"
    monkeypatch.setenv("OFFLINE_TEACHER_PORT", "9")
    assert resolve("offline:rubric").base_url == "http://127.0.0.1:9/v1"
    assert resolve("offline:rubric", offline_url="http://x/v1").base_url == "http://x/v1"


def test_a_proxy_is_used_for_hosts_outside_alone(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    assert resolve("https://api.example.com/v1#m").proxy == "http://proxy:3128"
    assert resolve("vllm:m").proxy is None


@pytest.mark.parametrize(
    ("name", "free", "variable"),
    [
        ("offline:extractive", True, None),
        ("vllm:m", True, None),
        ("ollama:m", True, None),
        ("openai:gpt-4o", False, "OPENAI_API_KEY"),
        ("http://127.0.0.1:4000/v1#m", False, "TEACHER_API_KEY_127_0_0_1"),
    ],
)
def test_what_is_free_and_what_needs_which_key(name, free, variable):
    assert is_free(name) is free
    assert key_variable(name) == variable
    assert is_offline(name) is name.startswith("offline:")


def test_asking_without_a_key_is_a_teacher_error():
    async def run() -> None:
        async with open_teachers(slots=1) as teachers:
            await teachers.ask(Request("openai:gpt-4o", (Message("user", "?"),)))

    with pytest.raises(TeacherError, match="OPENAI_API_KEY") as caught:
        asyncio.run(run())
    assert caught.value.kind is FailureKind.AUTHENTICATION


def test_one_session_routes_by_teacher():
    question = (Message("user", "<passage>\nHeat raises rates.\n</passage>"),)

    async def run(url: str) -> list[str]:
        async with open_teachers(slots=2, offline_url=url) as teachers:
            names = ("offline:extractive", "offline:rubric", f"{url}#extractive")
            return [(await teachers.ask(Request(name, question))).model for name in names]

    with offline_teacher(0) as url:
        models = asyncio.run(run(url))
    assert models == ["offline-extractive", "offline-rubric", "offline-extractive"]


@pytest.mark.parametrize("typed", ["openai", "openai:", "openai:gpt-4o", " OpenAI "])
def test_a_provider_is_found_without_a_model(monkeypatch, typed):
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    assert resolve_provider(typed).base_url == "https://api.openai.com/v1"


def test_a_base_url_is_a_provider_too():
    endpoint = resolve_provider("https://host:8443/v1/")
    assert endpoint.base_url == "https://host:8443/v1"
    assert resolve_provider("https://host:8443/v1#model").base_url == endpoint.base_url
    assert resolve_provider("offline", offline_url="http://127.0.0.1:9/v1").base_url.endswith(
        "9/v1"
    )


@pytest.mark.parametrize(
    ("typed", "hint"),
    [("openai", "OPENAI_API_KEY"), ("opnai", "did you mean openai"), ("https://", "https://host")],
)
def test_a_provider_that_cannot_be_asked_says_why(typed, hint):
    with pytest.raises(InputError, match=hint):
        resolve_provider(typed)
