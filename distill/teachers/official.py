"""The official `openai` client, for what is asked seldom: the list of models and the test button.

It goes where the hot path goes, with the same key, proxy and deadlines, and what comes back is read
by the same reader, so a test that passes here stands for the run. It is slow to import and to ask
(see `openai_protocol`), so it is imported where it is used.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from distill.logic.errors import FailureKind, InputError, TeacherError
from distill.logic.retry import Deadlines
from distill.logic.types import Message, Reply, Request
from distill.teachers.endpoint import Endpoint
from distill.teachers.envelope import failure_of_status, read_reply
from distill.teachers.offline import offline_teacher
from distill.teachers.openai_protocol import build_body
from distill.teachers.registry import (
    PROVIDERS,
    canonical_name,
    is_offline,
    key_variable,
    resolve,
    resolve_provider,
)

if TYPE_CHECKING:
    import openai

Sent = TypeVar("Sent")

# Reasoning models spend tokens before the first visible word; 16 would come back empty.
_QUESTION = (Message("user", "Reply with the single word: ready"),)
_MAX_TOKENS = 1024

# All that a request of the hot path carries, what HTTP itself needs, and the mark by which the
# package knows its raw responses again.
_HEADERS = frozenset(
    {
        "host",
        "content-type",
        "content-length",
        "accept",
        "accept-encoding",
        "connection",
        "x-stainless-raw-response",
    }
)


@dataclass(frozen=True, slots=True)
class TeacherCheck:
    """What one tiny request to a teacher showed; `error` says what to do, '' where `ok`."""

    ok: bool
    name: str
    model: str = ""
    latency_ms: int = 0
    text: str = ""
    error: str = ""


def check_teacher(
    name: str, *, offline_url: str | None = None, timeout: float = 30.0
) -> TeacherCheck:
    """Ask `name` one tiny question (its cost is a few tokens); never raises for a failure.

    `timeout` in seconds, in all. An offline teacher that is not running is started for the
    question. For the "test this teacher" button and the command.
    """
    if offline_url is None and is_offline(name):
        with offline_teacher() as started_url:
            return check_teacher(name, offline_url=started_url, timeout=timeout)
    try:
        full = canonical_name(name).name
        endpoint = resolve(full, offline_url=offline_url)
    except InputError as error:
        return TeacherCheck(ok=False, name=name, error=str(error))
    try:
        reply = asyncio.run(_ask_once(full, endpoint, _deadlines(timeout)))
    except TeacherError as error:
        advice = _advice(error, endpoint)
        return TeacherCheck(ok=False, name=full, latency_ms=error.latency_ms, error=advice)
    return TeacherCheck(
        ok=True, name=full, model=reply.model, latency_ms=reply.latency_ms, text=reply.text
    )


def list_models(
    name: str, *, offline_url: str | None = None, timeout: float = 15.0
) -> tuple[str, ...]:
    """The full names of all models that the provider of `name` says it has, sorted.

    `name` is a provider (`openai`, `https://host/v1`) or any teacher of it. Not each of them writes
    texts: providers list what embeds, paints and speaks as well. `timeout` in seconds, in all.
    Raises InputError for an unknown provider or a missing key, TeacherError (its text says what to
    do) where it gives no list.
    """
    if offline_url is None and is_offline(name):
        with offline_teacher() as started_url:
            return list_models(name, offline_url=started_url, timeout=timeout)
    endpoint = resolve_provider(name, offline_url=offline_url)
    ids = _read_ids(asyncio.run(_fetch_models(endpoint, _deadlines(timeout))), endpoint)
    start = f"{endpoint.provider}:" if endpoint.provider in PROVIDERS else f"{endpoint.base_url}#"
    return tuple(f"{start}{model}" for model in sorted(ids))


async def _ask_once(name: str, endpoint: Endpoint, deadlines: Deadlines) -> Reply:
    body: dict[str, Any] = build_body(
        Request(name, _QUESTION, {"max_tokens": _MAX_TOKENS}), endpoint
    )
    async with _client(endpoint, deadlines) as client:
        started = time.monotonic()

        async def send() -> tuple[bytes, Any]:
            model, messages = body.pop("model"), body.pop("messages")
            create = client.chat.completions.with_raw_response.create
            response = await create(model=model, messages=messages, extra_body=body)
            return response.content, response.headers

        raw, headers = await _translate(send, endpoint, deadlines)
        latency_ms = round((time.monotonic() - started) * 1000)
    return read_reply(raw, latency_ms=latency_ms, headers=headers, endpoint=endpoint)


async def _fetch_models(endpoint: Endpoint, deadlines: Deadlines) -> bytes:
    async with _client(endpoint, deadlines) as client:

        async def send() -> bytes:
            return (await client.models.with_raw_response.list()).content

        try:
            return await _translate(send, endpoint, deadlines)
        except TeacherError as error:
            if error.kind is FailureKind.BAD_REQUEST:
                raise _no_list(endpoint) from error
            raise TeacherError(error.kind, _advice(error, endpoint)) from error


def _read_ids(raw: bytes, endpoint: Endpoint) -> set[str]:
    """The ids; Together sends the bare list, Gemini writes `models/` before each."""
    try:
        listed = orjson.loads(raw)
        models = listed if isinstance(listed, list) else listed["data"]
        return {str(model["id"]).removeprefix("models/") for model in models}
    except (orjson.JSONDecodeError, LookupError, TypeError) as error:
        raise _no_list(endpoint) from error


def _no_list(endpoint: Endpoint) -> TeacherError:
    message = f"{endpoint.base_url} gives no list of models: type the model's name"
    return TeacherError(FailureKind.BROKEN_ENVELOPE, message)


@asynccontextmanager
async def _client(endpoint: Endpoint, deadlines: Deadlines) -> AsyncIterator[openai.AsyncOpenAI]:
    import openai

    async def keep_to_ours(request: Any) -> None:
        """The package adds headers of its own and from its environment; none is for others."""
        for name in set(request.headers) - _HEADERS:
            del request.headers[name]
        request.headers["User-Agent"] = "nexa-distill"
        if endpoint.api_key:
            request.headers["Authorization"] = f"Bearer {endpoint.api_key}"

    timeout = openai.Timeout(deadlines.first_byte_seconds, connect=deadlines.connect_seconds)
    http_client = openai.DefaultAsyncHttpxClient(
        proxy=endpoint.proxy,
        trust_env=False,
        follow_redirects=False,
        event_hooks={"request": [keep_to_ours]},
    )
    async with openai.AsyncOpenAI(
        base_url=endpoint.base_url,
        api_key=endpoint.api_key or "none",
        max_retries=0,
        timeout=timeout,
        http_client=http_client,
    ) as client:
        yield client


async def _translate(
    send: Callable[[], Awaitable[Sent]], endpoint: Endpoint, deadlines: Deadlines
) -> Sent:
    """What `send` gives; the package's errors become ours."""
    import openai

    started = time.monotonic()
    try:
        async with asyncio.timeout(deadlines.total_seconds):
            return await send()
    except openai.APIStatusError as error:
        answer = error.response
        raise failure_of_status(
            answer.status_code,
            answer.headers,
            answer.content,
            latency_ms=round((time.monotonic() - started) * 1000),
            endpoint=endpoint,
        ) from error
    except (TimeoutError, openai.APITimeoutError) as error:
        message = f"{endpoint.base_url} gave no answer within {deadlines.total_seconds:g} s"
        raise TeacherError(FailureKind.TIMEOUT, message) from error
    except (openai.OpenAIError, ValueError) as error:
        why = error.__cause__ or error
        message = f"the connection to {endpoint.base_url} failed: {why}"
        raise TeacherError(FailureKind.CONNECTION, message) from error


def _deadlines(seconds: float) -> Deadlines:
    return Deadlines(
        connect_seconds=min(seconds, 10.0), first_byte_seconds=seconds, total_seconds=seconds
    )


def _advice(error: TeacherError, endpoint: Endpoint) -> str:
    """What happened, then what to do about it."""
    provider = PROVIDERS.get(endpoint.provider)
    named = f"{endpoint.base_url}#{endpoint.model}"
    variable = provider.key_variable if provider else key_variable(named)
    where = f" or set {provider.base_url_variable}" if provider else ""
    is_stand_in = endpoint.provider == "offline"
    start = "start it with `manage.py offline_teacher`" if is_stand_in else "start it"
    advice = {
        FailureKind.CONNECTION: f"Nothing answers at {endpoint.base_url}: {start}{where}.",
        FailureKind.TIMEOUT: f"{endpoint.base_url} is too slow or not there: {start}{where}.",
        FailureKind.AUTHENTICATION: f"The key was refused: check {variable}.",
        FailureKind.BAD_REQUEST: f"Check the model's name, {endpoint.model!r}, and the base URL.",
        FailureKind.RATE_LIMITED: "It is there, but busy: try again later.",
        FailureKind.OUT_OF_BUDGET: "The account has no credit left: top it up.",
        FailureKind.BROKEN_ENVELOPE: f"Does {endpoint.base_url} speak the OpenAI protocol?",
        FailureKind.TRUNCATED: f"It thought for {_MAX_TOKENS} tokens: give its recipe many more.",
    }.get(error.kind, "")
    return f"{error}. {advice}".strip()
