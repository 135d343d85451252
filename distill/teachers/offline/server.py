"""The offline teacher's HTTP server: the chat-completions protocol on loopback, and its account.

POST /v1/chat/completions   the protocol, without streaming
GET  /v1/models             extractive, rubric
GET  /healthz               that it is this service, and which faults are set
GET  /stats                 requests and billed completions, in all and by request hash
DELETE /stats               start counting anew
POST /misbehave             {"faults": "moderate,seed=7", "latency": "0.2"}
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from distill.logic.errors import InputError
from distill.teachers.offline.answer import Content, write_content
from distill.teachers.offline.limits import Bucket
from distill.teachers.offline.misbehave import (
    Fault,
    Faults,
    Latency,
    parse_faults,
    parse_latency,
)
from distill.teachers.offline.models import OFFLINE_MODELS
from distill.teachers.offline.process import SERVICE
from distill.teachers.offline.schema import misfits

_MAX_BODY_BYTES = 64 * 2**20


@dataclass(slots=True)
class _State:
    """What the server remembers: how it misbehaves, and its account."""

    faults: Faults
    latency: Latency
    requests: Counter[str] = field(default_factory=Counter)
    completions: Counter[str] = field(default_factory=Counter)
    by_fault: Counter[str] = field(default_factory=Counter)
    bucket: Bucket | None = None
    at_once: int = 0
    most_at_once: int = 0

    def misbehave(self, faults: Faults, latency: Latency) -> None:
        """From now on; a minute's limit starts whole."""
        self.faults, self.latency = faults, latency
        self.bucket = Bucket.full(faults.rpm, time.monotonic()) if faults.rpm else None

    def clear_account(self) -> None:
        for counter in (self.requests, self.completions, self.by_fault):
            counter.clear()
        self.most_at_once = self.at_once


_STATE = web.AppKey("state", _State)


def run_server(
    port: int,
    faults: Faults,
    latency: Latency,
    *,
    announce: Callable[[int], None],
    ends_with_stdin: bool = False,
) -> None:
    """Serve on 127.0.0.1:`port` (0: a free one) until SIGTERM, SIGINT or, if asked, end of stdin.

    `announce` gets the port once connections are accepted. Raises InputError for a taken port.
    """
    listener = _listen(port)
    asyncio.run(
        _serve(listener, make_app(faults, latency), announce, ends_with_stdin=ends_with_stdin)
    )


def make_app(faults: Faults, latency: Latency) -> web.Application:
    """The application, for `run_server` and for tests."""
    app = web.Application(client_max_size=_MAX_BODY_BYTES)
    app[_STATE] = _State(faults, latency)
    app[_STATE].misbehave(faults, latency)
    app.add_routes(
        [
            web.post("/v1/chat/completions", _chat_completions),
            web.get("/v1/models", _models),
            web.get("/healthz", _healthz),
            web.get("/stats", _stats),
            web.delete("/stats", _clear_stats),
            web.post("/misbehave", _misbehave),
        ]
    )
    return app


def hash_request(body: Mapping[str, Any]) -> str:
    """What tells requests apart: model, messages and every parameter, in any order of keys."""
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        raise InputError(f"port {port} is taken: choose another with --port") from error
    return listener


async def _serve(
    listener: socket.socket,
    app: web.Application,
    announce: Callable[[int], None],
    *,
    ends_with_stdin: bool,
) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    # Who has gone away is waited for no longer, and holds no place among those served at once.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5, handler_cancellation=True)
    await runner.setup()
    await web.SockSite(runner, listener, backlog=2048).start()
    announce(listener.getsockname()[1])
    if ends_with_stdin:
        threading.Thread(target=_exit_at_end_of_stdin, daemon=True).start()
    await ended.wait()
    await runner.cleanup()


def _exit_at_end_of_stdin() -> None:
    """The parent holds the other end: when it is gone, however it went, so are we."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os._exit(0)


async def _chat_completions(request: web.Request) -> web.StreamResponse:
    state = request.app[_STATE]
    try:
        body = orjson.loads(await request.read())
        problem = _problem_with(body)
    except orjson.JSONDecodeError as error:
        problem = (400, "invalid_json", f"the body is not JSON: {error}")
    if problem:
        return _error(*problem)
    request_hash = hash_request(body)
    seen = state.requests[request_hash]
    state.requests[request_hash] += 1
    state.at_once += 1
    state.most_at_once = max(state.most_at_once, state.at_once)
    try:
        response = _over_limit(state) or await _answer(request, body, request_hash, seen)
    finally:
        state.at_once -= 1
    if state.bucket:
        response.headers.update(state.bucket.headers())
    return response


def _over_limit(state: _State) -> web.Response | None:
    """The 429 of a request that is one too many, at once or within a minute."""
    if 0 < state.faults.capacity < state.at_once:
        state.by_fault["capacity"] += 1
        words = f"at most {state.faults.capacity:g} requests at once"
        return _error(429, "rate_limit_exceeded", words)
    seconds = state.bucket.take(time.monotonic()) if state.bucket else 0.0
    if not seconds:
        return None
    state.by_fault["rpm"] += 1
    words = f"at most {state.faults.rpm:g} requests a minute: please try again in {seconds:.3f}s"
    return _error(429, "rate_limit_exceeded", words, {"Retry-After": f"{seconds:.3f}"})


async def _answer(
    request: web.Request, body: Mapping[str, Any], request_hash: str, seen: int
) -> web.Response:
    state = request.app[_STATE]
    fault = state.faults.choose(request_hash, seen)
    if fault:
        state.by_fault[fault.value] += 1
    if fault is Fault.HANG:
        await asyncio.Event().wait()  # until the client has gone away, which cancels
    if fault and not fault.is_billed:
        return _unbilled(request, fault, state.faults)
    content = write_content(body, request_hash, fault)
    problem = "" if fault or content.finish_reason == "length" else _misfit(body, content)
    if problem:
        return _error(400, "invalid_json_schema", problem)
    state.completions[request_hash] += 1
    await _take_time(state, fault, request_hash, seen)
    if fault is Fault.BROKEN_ENVELOPE:
        return web.Response(body=b'{"id": "chatcmpl-cut", "choices": [{"mess', status=200)
    return _json(_envelope(body, request_hash, content))


def _misfit(body: Mapping[str, Any], content: Content) -> str:
    """What of the asked `response_format` the stand-in cannot do; '' where it can.

    A model is held to a schema while it writes. The stand-in reads from the prompt what to write,
    so a schema that asks for something else is an error of the request.
    """
    wanted = body.get("response_format")
    if not isinstance(wanted, dict) or wanted.get("type") not in ("json_object", "json_schema"):
        return ""
    try:
        reply = orjson.loads(content.text)
    except orjson.JSONDecodeError:
        return "the prompt asks for a plain text, response_format for JSON"
    schema = (wanted.get("json_schema") or {}).get("schema") or {"type": "object"}
    return "; ".join(misfits(reply, schema))


def _problem_with(body: Any) -> tuple[int, str, str] | None:
    """Status, code and message of what is wrong with a request, in the protocol's words."""
    if not isinstance(body, dict) or not isinstance(body.get("messages"), list):
        return 400, "invalid_request", "the body must be an object with a list of messages"
    for message in body["messages"]:
        if not isinstance(message, dict) or not isinstance(message.get("content"), str):
            return 400, "invalid_request", "each message needs a role and a text as its content"
    if not body["messages"]:
        return 400, "invalid_request", "messages must not be empty"
    if body.get("model") not in OFFLINE_MODELS:
        known = ", ".join(OFFLINE_MODELS)
        return 404, "model_not_found", f"no model {body.get('model')!r} here: known are {known}"
    if body.get("stream"):
        return 400, "unsupported_parameter", "the offline teacher does not stream"
    return None


def _unbilled(request: web.Request, fault: Fault, faults: Faults) -> web.Response:
    if fault is Fault.RESET:
        _reset(request)
        return web.Response()
    if fault is Fault.SERVER:
        return _error(500, "server_error", "the stand-in fails on purpose")
    retry_after = f"{faults.retry_after:g}"
    headers = {"Retry-After": retry_after}
    if fault is Fault.UNAVAILABLE:
        return _error(503, "overloaded", "the stand-in is overloaded on purpose", headers)
    words = f"rate limit reached on purpose: please try again in {retry_after}s"
    return _error(429, "rate_limit_exceeded", words, headers)


def _reset(request: web.Request) -> None:
    """Close with RST, as a crashed server does, instead of an orderly end."""
    transport = request.transport
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        linger = (1).to_bytes(4, sys.byteorder) + (0).to_bytes(4, sys.byteorder)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()


async def _take_time(state: _State, fault: Fault | None, request_hash: str, seen: int) -> None:
    seconds = state.latency.seconds(request_hash, seen)
    if fault is Fault.SLOW:
        seconds += state.faults.slow_seconds
    if seconds:
        await asyncio.sleep(seconds)


def _envelope(body: Mapping[str, Any], request_hash: str, content: Content) -> dict[str, Any]:
    prompt_tokens = sum(estimate_tokens(part["content"]) + 4 for part in body["messages"])
    reasoning_tokens = estimate_tokens(content.reasoning)
    completion_tokens = estimate_tokens(content.text) + reasoning_tokens
    message = {"role": "assistant", "content": content.text, "refusal": None}
    if content.reasoning:
        message["reasoning_content"] = content.reasoning
    return {
        "id": f"chatcmpl-{request_hash[:24]}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": f"offline-{body['model']}",
        "system_fingerprint": "stand-in",
        "choices": [
            {
                "index": 0,
                "finish_reason": content.finish_reason,
                "logprobs": None,
                "message": message,
            }
        ],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": reasoning_tokens},
        },
    }


def estimate_tokens(text: str) -> int:
    """About what a tokenizer would count: a token for four bytes of UTF-8, rounded up."""
    return -(-len(text.encode("utf-8", "replace")) // 4)


async def _models(request: web.Request) -> web.Response:
    data = [
        {"id": name, "object": "model", "created": 0, "owned_by": "nexa-distill"}
        for name in OFFLINE_MODELS
    ]
    return _json({"object": "list", "data": data})


async def _healthz(request: web.Request) -> web.Response:
    rates = {str(fault): rate for fault, rate in request.app[_STATE].faults.rates.items()}
    return _json({"service": SERVICE, "status": "ok", "stand_in": True, "faults": rates})


async def _stats(request: web.Request) -> web.Response:
    state = request.app[_STATE]
    return _json(
        {
            "requests": state.requests.total(),
            "completions": state.completions.total(),
            "distinct": len(state.requests),
            "bought_twice": sum(count - 1 for count in state.completions.values()),
            "by_fault": dict(state.by_fault),
            "most_at_once": state.most_at_once,
            "by_request": {
                key: {"requests": count, "completions": state.completions[key]}
                for key, count in state.requests.items()
            },
        }
    )


async def _clear_stats(request: web.Request) -> web.Response:
    request.app[_STATE].clear_account()
    return _json({"status": "cleared"})


async def _misbehave(request: web.Request) -> web.Response:
    """Set the faults, the latency, or both; what is not named stays."""
    state = request.app[_STATE]
    try:
        wanted = orjson.loads(await request.read())
        faults, latency = wanted.get("faults"), wanted.get("latency")
        new_faults = state.faults if faults is None else parse_faults(str(faults))
        new_latency = state.latency if latency is None else parse_latency(str(latency))
    except (orjson.JSONDecodeError, AttributeError, InputError) as error:
        return _error(400, "invalid_request", str(error))
    state.misbehave(new_faults, new_latency)
    return await _healthz(request)


def _json(data: Mapping[str, Any]) -> web.Response:
    return web.Response(body=orjson.dumps(data), content_type="application/json")


def _error(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    error = {"message": message, "type": code, "param": None, "code": code}
    body = orjson.dumps({"error": error})
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")
