"""The test button and the list of models: where they go, with what, and what they say."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from distill.logic.errors import FailureKind, InputError, TeacherError
from distill.teachers.official import check_teacher, list_models
from distill.teachers.offline import offline_teacher
from distill.teachers.registry import PROVIDERS

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for provider in PROVIDERS.values():
        monkeypatch.delenv(provider.key_variable, raising=False)
        monkeypatch.delenv(provider.base_url_variable, raising=False)
    for variable in ("OFFLINE_TEACHER_PORT", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.lower(), raising=False)


@pytest.fixture(scope="module")
def offline_url() -> Iterator[str]:
    with offline_teacher(0) as url:
        yield url


@contextmanager
def serving(handler: Handler) -> Iterator[str]:
    """The base URL of a server in a thread of its own that answers everything by `handler`."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> TestServer:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        server = TestServer(app)
        await server.start_server()
        return server

    server = asyncio.run_coroutine_threadsafe(start(), loop).result()
    try:
        yield str(server.make_url("/v1"))
    finally:
        asyncio.run_coroutine_threadsafe(server.close(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def answering(body: Any, status: int = 200) -> Handler:
    async def handle(_request: web.Request) -> web.Response:
        return web.json_response(body, status=status)

    return handle


def test_a_teacher_that_answers_is_shown_with_model_and_text(offline_url):
    check = check_teacher("offline:extractive", offline_url=offline_url)
    assert (check.ok, check.name, check.error) == (True, "offline:extractive", "")
    assert check.model == "offline-extractive"
    assert check.text


def test_checking_the_offline_teacher_starts_one(monkeypatch):
    monkeypatch.setenv("OFFLINE_TEACHER_PORT", str(unused_port()))
    check = check_teacher("offline:extractive")
    assert (check.ok, check.model, check.error) == (True, "offline-extractive", "")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("openai:gpt-4o", "OPENAI_API_KEY"),
        ("nobody:model", "there is no provider"),
        ("vllm:m", "start it or set VLLM_BASE_URL"),
    ],
)
def test_a_failed_check_says_what_to_do(monkeypatch, name, hint):
    monkeypatch.setenv("VLLM_BASE_URL", f"http://127.0.0.1:{unused_port()}")
    check = check_teacher(name, timeout=2.0)
    assert not check.ok
    assert hint in check.error


def test_checking_a_wrong_model_names_it(offline_url):
    check = check_teacher(f"{offline_url}#missing")
    assert not check.ok
    assert "Check the model's name, 'missing'" in check.error


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (401, "The key was refused: check TEACHER_API_KEY_127_0_0_1"),
        (429, "but busy"),
        (402, "no credit left"),
        (307, "use that base URL"),
        (500, "answered 500"),
    ],
)
def test_each_refusal_has_its_advice(status, hint):
    with serving(answering({"error": {"message": "no"}}, status)) as url:
        check = check_teacher(f"{url}#m")
    assert not check.ok
    assert hint in check.error


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        ({"hello": "world"}, "speak the OpenAI protocol?"),
        (
            {"choices": [{"finish_reason": "length", "message": {"content": ""}}]},
            "It thought for 1024 tokens",
        ),
        ({"error": {"code": 429, "message": "upstream"}}, "but busy"),
    ],
)
def test_a_200_that_is_no_answer_is_no_success(body, hint):
    with serving(answering(body)) as url:
        check = check_teacher(f"{url}#m")
    assert not check.ok
    assert hint in check.error


def test_the_deadline_holds_for_the_whole_answer():
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(50):
            await response.write(b" ")
            await asyncio.sleep(0.1)
        return response

    with serving(drip) as url:
        check = check_teacher(f"{url}#m", timeout=0.5)
    assert not check.ok
    assert "no answer within 0.5 s" in check.error


def test_nothing_but_our_own_headers_leaves(monkeypatch):
    seen: list[dict[str, str]] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append({name.lower(): value for name, value in request.headers.items()})
        body = {"choices": [{"message": {"content": "ready"}}], "data": []}
        return web.json_response(body)

    monkeypatch.setenv("OPENAI_API_KEY", "not-for-others")
    monkeypatch.setenv("OPENAI_ORG_ID", "our-organisation")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Secret: not-for-others")
    with serving(handle) as url:
        assert check_teacher(f"{url}#m").ok
        monkeypatch.setenv("TEACHER_API_KEY_127_0_0_1", "own-key")
        assert check_teacher(f"{url}#m").ok
        list_models(url)
    assert "authorization" not in seen[0]
    assert [headers.get("authorization") for headers in seen[1:]] == ["Bearer own-key"] * 2
    assert {headers["user-agent"] for headers in seen} == {"nexa-distill"}
    values = {value for headers in seen for value in headers.values()}
    assert not values & {"our-organisation", "not-for-others", "Bearer not-for-others"}


def test_the_question_is_in_the_models_dialect():
    seen: list[dict[str, Any]] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(await request.json())
        return web.json_response({"choices": [{"message": {"content": "ready"}}]})

    with serving(handle) as url:
        assert check_teacher(f"{url}#gpt-5").ok
    assert seen[0]["max_completion_tokens"] == 1024
    assert "max_tokens" not in seen[0]


def test_the_offline_teachers_models_are_listed(offline_url):
    assert list_models("offline", offline_url=offline_url) == (
        "offline:extractive",
        "offline:rubric",
    )
    names = list_models(f"{offline_url}#any")
    assert names == (f"{offline_url}#extractive", f"{offline_url}#rubric")


@pytest.mark.parametrize(
    "body",
    [
        {"object": "list", "data": [{"id": "b", "object": "model"}, {"id": "models/a"}]},
        [{"id": "a", "type": "chat"}, {"id": "b"}],
    ],
)
def test_each_form_of_a_list_is_read(body, monkeypatch):
    with serving(answering(body)) as url:
        monkeypatch.setenv("VLLM_BASE_URL", url)
        assert list_models("vllm") == ("vllm:a", "vllm:b")


@pytest.mark.parametrize("body", [{}, {"data": 7}, {"data": [7]}, [[]], None, {"data": [{}]}])
def test_a_list_that_is_none_says_what_to_do(body):
    with (
        serving(answering(body)) as url,
        pytest.raises(TeacherError, match="type the model's name"),
    ):
        list_models(url)


def test_a_provider_without_a_list_says_what_to_do():
    with serving(answering({"error": "x"}, 404)) as url, pytest.raises(TeacherError) as caught:
        list_models(url)
    assert "type the model's name" in str(caught.value)
    with serving(answering({"error": "x"}, 401)) as url, pytest.raises(TeacherError) as caught:
        list_models(url)
    assert caught.value.kind is FailureKind.AUTHENTICATION
    assert "TEACHER_API_KEY_127_0_0_1" in str(caught.value)


def test_a_list_needs_a_known_provider_and_its_key():
    with pytest.raises(InputError, match="OPENAI_API_KEY"):
        list_models("openai")
    with pytest.raises(InputError, match="no provider"):
        list_models("nobody")
