"""The protocol's client against real HTTP on loopback: every failure has its kind."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from distill.logic.errors import FailureKind, TeacherError
from distill.logic.retry import Deadlines
from distill.logic.types import Allowance, Message, Reply, Request, Usage
from distill.teachers.endpoint import Endpoint
from distill.teachers.openai_protocol import OpenAIProtocol, build_body, open_session
from distill.teachers.retry_after import read_retry_after

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

QUESTION = Request("test:some-model", (Message("user", "Why?\nPlease."),), {"temperature": 0.5})
ENDPOINT = Endpoint("http://127.0.0.1:1/v1", "secret-key", "some-model", "test")


def ask(handler: Handler, **deadlines: float) -> Reply:
    async def run() -> Reply:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", handler)
        async with TestServer(app) as server, open_session(slots=2) as session:
            endpoint = replace(ENDPOINT, base_url=str(server.make_url("/v1")))
            return await OpenAIProtocol(
                session, lambda _name: endpoint, deadlines=Deadlines(**deadlines)
            ).ask(QUESTION)

    return asyncio.run(run())


def answering(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Handler:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)

    async def handle(_request: web.Request) -> web.Response:
        return web.Response(body=raw, status=status, headers=headers)

    return handle


def failure_of(handler: Handler, **deadlines: float) -> TeacherError:
    with pytest.raises(TeacherError) as caught:
        ask(handler, **deadlines)
    return caught.value


def envelope(content: Any = "Because.", **message: Any) -> dict[str, Any]:
    return {
        "model": "some-model-2026",
        "choices": [
            {
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": content} | message,
            }
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 2},
    }


def test_a_reply_comes_back_exactly_as_it_was_sent():
    sent = orjson.dumps(envelope("  Because.\n\n"))
    reply = ask(answering(sent))
    assert reply.raw == sent
    assert reply.text == "  Because.\n\n"
    assert (reply.finish_reason, reply.model) == ("stop", "some-model-2026")
    assert reply.usage == Usage(7, 2)


def test_the_request_carries_key_messages_and_parameters():
    seen: dict[str, Any] = {}

    async def handle(request: web.Request) -> web.Response:
        seen["key"] = request.headers["Authorization"]
        seen["body"] = await request.json()
        return web.json_response(envelope())

    ask(handle)
    assert seen["key"] == "Bearer secret-key"
    assert seen["body"] == {
        "model": "some-model",
        "messages": [{"role": "user", "content": "Why?\nPlease."}],
        "temperature": 0.5,
    }


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, {"error": {"message": "slow down"}}, FailureKind.RATE_LIMITED),
        (503, b"<html>busy</html>", FailureKind.RATE_LIMITED),
        (529, {"error": {"message": "overloaded"}}, FailureKind.RATE_LIMITED),
        (429, {"error": {"code": "insufficient_quota"}}, FailureKind.OUT_OF_BUDGET),
        (402, {"error": {"message": "Insufficient credits"}}, FailureKind.OUT_OF_BUDGET),
        (401, {"error": {"message": "bad key"}}, FailureKind.AUTHENTICATION),
        (403, {"error": "forbidden"}, FailureKind.AUTHENTICATION),
        (400, {"error": {"message": "unknown field"}}, FailureKind.BAD_REQUEST),
        (404, {"error": {"message": "no such model"}}, FailureKind.BAD_REQUEST),
        (422, {"detail": [{"msg": "wrong"}]}, FailureKind.BAD_REQUEST),
        (302, b"", FailureKind.BAD_REQUEST),
        (
            400,
            {"error": {"message": "This model's maximum context length is 8192 tokens."}},
            FailureKind.CONTEXT_TOO_LONG,
        ),
        (400, {"error": {"message": "prompt is too long"}}, FailureKind.CONTEXT_TOO_LONG),
        (413, b"", FailureKind.CONTEXT_TOO_LONG),
        (400, {"error": {"code": "content_filter"}}, FailureKind.REFUSED),
        (408, b"", FailureKind.TIMEOUT),
        (500, {"error": {"message": "oops"}}, FailureKind.SERVER),
        (502, b"bad gateway", FailureKind.SERVER),
    ],
)
def test_each_status_has_its_kind(status, body, kind):
    error = failure_of(answering(body, status))
    assert error.kind is kind
    assert error.status == status
    assert error.raw == (body if isinstance(body, bytes) else orjson.dumps(body))


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"not json", FailureKind.BROKEN_ENVELOPE),
        (b"", FailureKind.BROKEN_ENVELOPE),
        (b"[]", FailureKind.BROKEN_ENVELOPE),
        (b"null", FailureKind.BROKEN_ENVELOPE),
        (b'"text"', FailureKind.BROKEN_ENVELOPE),
        ({"choices": []}, FailureKind.BROKEN_ENVELOPE),
        ({"choices": [{"message": None}]}, FailureKind.BROKEN_ENVELOPE),
        (envelope({"a": 1}), FailureKind.BROKEN_ENVELOPE),
        (envelope([{"type": "text"}]), FailureKind.BROKEN_ENVELOPE),
        ({"error": {"message": "no code"}}, FailureKind.BROKEN_ENVELOPE),
        ({"error": {"code": 429, "message": "upstream"}}, FailureKind.RATE_LIMITED),
        ({"choices": [{"error": {"code": 502}}]}, FailureKind.SERVER),
        (envelope(""), FailureKind.EMPTY),
        (envelope(" \n"), FailureKind.EMPTY),
        (envelope(None), FailureKind.EMPTY),
        (envelope(None, refusal="I can't help with that."), FailureKind.REFUSED),
    ],
)
def test_a_200_that_holds_no_answer_keeps_its_body(body, kind):
    error = failure_of(answering(body))
    assert error.kind is kind
    assert error.raw == (body if isinstance(body, bytes) else orjson.dumps(body))


def test_a_content_filter_is_a_refusal_even_with_text():
    body = envelope("half an ans")
    body["choices"][0]["finish_reason"] = "content_filter"
    assert failure_of(answering(body)).kind is FailureKind.REFUSED


def test_content_in_parts_is_joined():
    parts = [{"type": "text", "text": "one "}, {"type": "image"}, {"type": "text", "text": "two"}]
    assert ask(answering(envelope(parts))).text == "one two"


def test_missing_usage_and_model_are_no_failure():
    reply = ask(answering({"choices": [{"message": {"content": "yes"}}]}))
    assert (reply.usage, reply.model, reply.finish_reason) == (None, "some-model", "")


def test_a_slow_server_is_a_timeout():
    async def handle(_request: web.Request) -> web.Response:
        await asyncio.sleep(0.6)
        return web.Response()

    error = failure_of(handle, total_seconds=0.15)
    assert error.kind is FailureKind.TIMEOUT
    assert "no whole reply within 0.15 s" in str(error)
    assert error.latency_ms >= 100
    assert error.may_be_billed


def test_a_reply_that_does_not_begin_has_a_deadline_of_its_own():
    async def handle(_request: web.Request) -> web.Response:
        await asyncio.sleep(0.6)
        return web.Response()

    error = failure_of(handle, first_byte_seconds=0.15)
    assert error.kind is FailureKind.TIMEOUT
    assert "did not begin its reply within 0.15 s" in str(error)
    assert error.may_be_billed


def test_a_reply_may_take_longer_than_its_first_byte():
    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        body = orjson.dumps(envelope())
        for start in range(0, len(body), 30):
            await response.write(body[start : start + 30])
            await asyncio.sleep(0.05)
        return response

    assert ask(handle, first_byte_seconds=0.2).text == "Because."
    assert "no whole reply" in str(failure_of(handle, first_byte_seconds=0.2, total_seconds=0.15))


def test_a_reply_that_stops_half_way_is_a_timeout():
    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"choices"')
        await asyncio.sleep(0.6)
        return response

    error = failure_of(handle, first_byte_seconds=0.15)
    assert "stopped in the middle of its reply" in str(error)


def test_a_connection_that_is_never_made_has_a_deadline_and_costs_nothing():
    """A full backlog: the kernel leaves the next connection waiting."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        with contextlib.ExitStack() as waiting:
            for _ in range(4):
                client = waiting.enter_context(socket.socket())
                client.setblocking(False)
                client.connect_ex(address)
            endpoint = replace(ENDPOINT, base_url=f"http://127.0.0.1:{address[1]}/v1")
            error = ask_at(endpoint, deadlines=Deadlines(connect_seconds=0.2))
    assert error.kind is FailureKind.TIMEOUT
    assert "could not connect" in str(error)
    assert not error.may_be_billed


def test_a_reset_is_a_connection_failure():
    async def handle(request: web.Request) -> web.Response:
        assert request.transport is not None
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
        return web.Response()

    error = failure_of(handle)
    assert error.kind is FailureKind.CONNECTION
    assert error.may_be_billed


def test_a_body_that_breaks_off_is_a_connection_failure():
    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"choices"')
        assert request.transport is not None
        request.transport.abort()
        return response

    assert failure_of(handle).kind is FailureKind.CONNECTION


def ask_at(
    endpoint: Endpoint, question: Request = QUESTION, deadlines: Deadlines | None = None
) -> TeacherError:
    async def run() -> None:
        async with open_session(slots=1) as session:
            teacher = OpenAIProtocol(session, lambda _name: endpoint, deadlines=deadlines)
            await teacher.ask(question)

    with pytest.raises(TeacherError) as caught:
        asyncio.run(run())
    return caught.value


def test_nobody_there_is_a_connection_failure():
    endpoint = replace(ENDPOINT, base_url=f"http://127.0.0.1:{unused_port()}/v1")
    error = ask_at(endpoint)
    assert error.kind is FailureKind.CONNECTION
    assert not error.may_be_billed


def test_an_unknown_host_and_a_dead_proxy_are_asked_nothing():
    unknown = ask_at(replace(ENDPOINT, base_url="http://no-such-host.invalid/v1"))
    dead_proxy = ask_at(replace(ENDPOINT, proxy=f"http://127.0.0.1:{unused_port()}"))
    for error in (unknown, dead_proxy):
        assert error.kind is FailureKind.CONNECTION
        assert not error.may_be_billed


@pytest.mark.parametrize("base_url", ["http://", "nonsense", "ftp://host/v1"])
def test_an_address_that_is_none_is_still_a_teacher_error(base_url):
    kind = ask_at(replace(ENDPOINT, base_url=base_url)).kind
    assert kind in (FailureKind.BAD_REQUEST, FailureKind.CONNECTION)


def test_text_that_is_no_utf_8_is_a_teacher_error():
    question = replace(QUESTION, messages=(Message("user", "\ud800"),))
    assert ask_at(ENDPOINT, question).kind is FailureKind.BAD_REQUEST


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"Retry-After": "7"}, b"", 7.0),
        ({"Retry-After": "0.5"}, b"", 0.5),
        ({"Retry-After": "Thu, 01 Jan 1970 00:17:00 GMT"}, b"", 20.0),
        ({"Retry-After": "Thu, 01 Jan 1970 00:00:01 GMT"}, b"", 0.0),
        ({"retry-after-ms": "250", "Retry-After": "1"}, b"", 0.25),
        ({"Retry-After": "soon"}, b"please try again in 1m3.5s", 63.5),
        ({"Retry-After": "nan"}, b"", None),
        ({}, b"Please try again in 250ms.", 0.25),
        ({}, b"retry after 20 seconds", 20.0),
        ({}, b'{"details": [{"retryDelay": "34s"}]}', 34.0),
        ({}, b'{"error": {"retry_after": 3}}', 3.0),
        ({}, b"nothing of the kind", None),
        ({}, b"try again in a while", None),
        ({"Retry-After": "9999999"}, b"", 86400.0),
    ],
)
def test_retry_after_is_read_from_headers_then_body(headers, body, seconds):
    assert read_retry_after(headers, body, now=1000.0) == seconds


def test_a_429_carries_its_retry_after_and_the_limits():
    limits = {"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "0"}
    error = failure_of(answering(b"", 429, limits | {"Retry-After": "7"}))
    assert error.retry_after == 7.0
    assert error.rate_limits is not None
    assert error.rate_limits.requests == Allowance(60, 0)
    assert not error.may_be_billed


def test_a_reply_carries_the_limits_too():
    reply = ask(answering(envelope(), headers={"x-ratelimit-limit-tokens": "9000"}))
    assert reply.rate_limits is not None
    assert reply.rate_limits.output_tokens.limit == 9000
    assert ask(answering(envelope())).rate_limits is None


def test_the_body_is_in_the_models_dialect():
    question = replace(QUESTION, parameters={"temperature": 0.5, "max_tokens": 9})
    body = build_body(question, replace(ENDPOINT, model="o3-mini"))
    assert body.keys() - {"model", "messages"} == {"max_completion_tokens"}
    body = build_body(question, replace(ENDPOINT, model="qwen-o1"))
    assert body.keys() - {"model", "messages"} == {"temperature", "max_tokens"}


def test_a_further_draw_moves_the_seed():
    seeded = replace(QUESTION, parameters={"seed": 5}, draw=2)
    assert build_body(seeded, ENDPOINT)["seed"] == 7
    unseeded = replace(QUESTION, draw=2)
    assert "seed" not in build_body(unseeded, ENDPOINT)
    assert build_body(unseeded, replace(ENDPOINT, seeds_draws=True))["seed"] == 2


def test_the_key_is_not_printed():
    assert "secret-key" not in repr(ENDPOINT)


def test_a_key_that_is_sent_back_and_a_password_in_an_address_are_not_told():
    said = b"wrong: Bearer secret-key, at http://me:pw@there/v1"
    message = "test answered 401: wrong: Bearer …, at http://…@there/v1"
    assert str(failure_of(answering(said, 401))) == message
    error = ask_at(replace(ENDPOINT, proxy="http://me:pw@127.0.0.1:99999"))
    assert str(error).endswith("http://…@127.0.0.1:99999")
