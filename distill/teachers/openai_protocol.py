"""The OpenAI chat-completions protocol over raw aiohttp and orjson: the one door to models.

Everything that can go wrong outside is translated here, once, into `TeacherError` with a kind:

    429, 503, 529            RATE_LIMITED, with `retry_after` where the provider says when
    402, exhausted quota     OUT_OF_BUDGET (the account's credit, not the run's budget)
    401, 403                 AUTHENTICATION
    400, 404, 422 …          BAD_REQUEST; CONTEXT_TOO_LONG and REFUSED where the body says so
    408, deadlines           TIMEOUT
    other 5xx                SERVER
    resets, refused, DNS     CONNECTION
    200 that is no envelope  BROKEN_ENVELOPE
    200 without any text     EMPTY
    200 with a refusal       REFUSED

The official `openai` package is not used: it costs 3 to 7 ms of CPU a request against 0.35 ms.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

from distill.logic.errors import FailureKind, InputError, TeacherError
from distill.logic.types import Reply, Request, Usage
from distill.teachers.retry_after import read_retry_after


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one teacher answers. `base_url` has no slash at its end; the key is never printed.

    `seeds_draws`: this teacher is deterministic, so a further draw must travel as a seed.
    """

    base_url: str
    api_key: str = field(repr=False)
    model: str
    provider: str
    proxy: str | None = None
    seeds_draws: bool = False


@dataclass(frozen=True, slots=True)
class _Dialect:
    """How a family of models spells the parameters: what is renamed, what must not be sent."""

    models: re.Pattern[str]
    renamed: Mapping[str, str]
    dropped: frozenset[str]


# Reasoning models refuse the request outright when it holds one of these.
_DIALECTS = (
    _Dialect(
        models=re.compile(r"(?:.*/)?(?:o[134](?:-|$)|gpt-5(?!-chat))"),
        renamed={"max_tokens": "max_completion_tokens"},
        dropped=frozenset({"temperature", "top_p", "presence_penalty", "frequency_penalty"}),
    ),
)

_TOO_LONG = re.compile(
    r"context[ _](?:length|window|size)|maximum context|prompt is too long|too many tokens"
    r"|max_model_len|input token count .{0,40}exceeds",
    re.IGNORECASE,
)
_FILTERED = re.compile(r"content[ _](?:filter|policy)|responsible ?ai", re.IGNORECASE)
_NO_CREDIT = re.compile(r"insufficient_quota|insufficient credits|credit balance", re.IGNORECASE)


class OpenAIProtocol:
    """A `Teacher` for every endpoint of the protocol; several base URLs share one session.

    `find_endpoint` maps a configured teacher name to its endpoint and may raise `InputError`.
    `connect_timeout` and `total_timeout` are seconds for each request.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        find_endpoint: Callable[[str], Endpoint],
        *,
        connect_timeout: float = 10.0,
        total_timeout: float = 180.0,
    ) -> None:
        self._session = session
        self._find_endpoint = find_endpoint
        self._timeout = aiohttp.ClientTimeout(
            total=total_timeout, connect=None, sock_connect=connect_timeout
        )

    async def ask(self, request: Request) -> Reply:
        """Send `request` once and return the whole reply. Raises `TeacherError` alone."""
        started = time.monotonic()
        try:
            endpoint = self._find_endpoint(request.teacher)
        except InputError as error:
            raise TeacherError(FailureKind.AUTHENTICATION, str(error)) from error
        body = _encode(build_body(request, endpoint))
        status, headers, raw = await self._post(endpoint, body, started)
        latency_ms = _milliseconds_since(started)
        if status != 200:
            raise _failure_of_status(status, headers, raw, latency_ms, endpoint)
        return read_reply(raw, latency_ms=latency_ms, headers=headers, endpoint=endpoint)

    async def _post(
        self, endpoint: Endpoint, body: bytes, started: float
    ) -> tuple[int, Mapping[str, str], bytes]:
        headers = {"Content-Type": "application/json"}
        if endpoint.api_key:
            headers["Authorization"] = f"Bearer {endpoint.api_key}"
        try:
            async with self._session.post(
                f"{endpoint.base_url}/chat/completions",
                data=body,
                headers=headers,
                timeout=self._timeout,
                proxy=endpoint.proxy,
                allow_redirects=False,
            ) as response:
                return response.status, response.headers, await response.read()
        except TimeoutError as error:
            raise self._timed_out(endpoint, error, started) from error
        except (aiohttp.InvalidURL, ValueError) as error:
            message = f"{endpoint.base_url} cannot be asked: {error}"
            raise TeacherError(FailureKind.BAD_REQUEST, message) from error
        except (aiohttp.ClientError, OSError) as error:
            message = (
                f"the connection to {endpoint.base_url} failed: {error or type(error).__name__}"
            )
            latency_ms = _milliseconds_since(started)
            raise TeacherError(FailureKind.CONNECTION, message, latency_ms=latency_ms) from error

    def _timed_out(self, endpoint: Endpoint, error: TimeoutError, started: float) -> TeacherError:
        is_connecting = isinstance(error, aiohttp.ConnectionTimeoutError)
        seconds = self._timeout.sock_connect if is_connecting else self._timeout.total
        doing = "connect to" if is_connecting else "get the whole reply from"
        message = f"could not {doing} {endpoint.base_url} within {seconds:g} s"
        latency_ms = _milliseconds_since(started)
        return TeacherError(FailureKind.TIMEOUT, message, latency_ms=latency_ms)


def open_session(*, slots: int) -> aiohttp.ClientSession:
    """A session with one pooled connection a slot, over all base URLs together."""
    connector = aiohttp.TCPConnector(limit=slots, limit_per_host=0, ttl_dns_cache=300)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "nexa-distill"},
    )


def build_body(request: Request, endpoint: Endpoint) -> dict[str, object]:
    """The JSON body for `request`, in the dialect of the endpoint's model."""
    messages = [{"role": part.role, "content": part.content} for part in request.messages]
    parameters = _adapt(endpoint.model, request.parameters)
    if request.draw and (endpoint.seeds_draws or isinstance(parameters.get("seed"), int)):
        # The same seed would give the same answer: a further draw moves it.
        parameters["seed"] = int(str(parameters.get("seed") or 0)) + request.draw
    return {"model": endpoint.model, "messages": messages, **parameters}


def read_reply(
    raw: bytes, *, latency_ms: int, headers: Mapping[str, str], endpoint: Endpoint
) -> Reply:
    """The reply inside the body of an HTTP 200; `text` is exactly what the provider wrote.

    Raises TeacherError (BROKEN_ENVELOPE, REFUSED, EMPTY, or what an error object inside says).
    """
    try:
        return _read_envelope(raw, latency_ms, headers, endpoint)
    except (orjson.JSONDecodeError, LookupError, TypeError, AttributeError) as error:
        message = f"{endpoint.provider} answered 200, but not in the protocol's form: {error}"
        raise TeacherError(
            FailureKind.BROKEN_ENVELOPE, message, status=200, raw=raw, latency_ms=latency_ms
        ) from error


def reread(raw: bytes, teacher: str, latency_ms: int) -> Reply:
    """The reply inside an accepted body that the ledger kept; needs neither key nor network."""
    provider, _, model = teacher.partition(":")
    endpoint = Endpoint(base_url="", api_key="", model=model, provider=provider)
    return read_reply(raw, latency_ms=latency_ms, headers={}, endpoint=endpoint)


def _read_envelope(
    raw: bytes, latency_ms: int, headers: Mapping[str, str], endpoint: Endpoint
) -> Reply:
    envelope = orjson.loads(raw)
    status = _error_status(envelope)
    if status is not None:
        raise _failure_of_status(status, headers, raw, latency_ms, endpoint)
    choice = envelope["choices"][0]
    message = choice["message"]
    finish_reason = str(choice.get("finish_reason") or "")
    refusal = message.get("refusal")
    if refusal or finish_reason == "content_filter":
        said = f"{endpoint.provider} refused: {refusal or 'its content filter stopped the reply'}"
        raise TeacherError(FailureKind.REFUSED, said, status=200, raw=raw, latency_ms=latency_ms)
    text = _join_parts(message.get("content"))
    if not text.strip():
        said = f"{endpoint.provider} answered without any text (finish_reason: {finish_reason})"
        raise TeacherError(FailureKind.EMPTY, said, status=200, raw=raw, latency_ms=latency_ms)
    return Reply(
        raw=raw,
        text=text,
        finish_reason=finish_reason,
        model=str(envelope.get("model") or endpoint.model),
        usage=_read_usage(envelope.get("usage")),
        latency_ms=latency_ms,
    )


def _adapt(model: str, parameters: Mapping[str, object]) -> dict[str, object]:
    for dialect in _DIALECTS:
        if dialect.models.match(model):
            return {
                dialect.renamed.get(name, name): value
                for name, value in parameters.items()
                if name not in dialect.dropped
            }
    return dict(parameters)


def _encode(body: dict[str, object]) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError as error:
        message = f"the request cannot be written as JSON: {error}"
        raise TeacherError(FailureKind.BAD_REQUEST, message) from error


def _join_parts(content: Any) -> str:
    """Content is a string; a few providers send a list of parts instead."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part.get("type") == "text")
    if content is None:
        return ""
    if not isinstance(content, str):
        raise TypeError("the content is neither a string nor a list of parts")
    return content


def _read_usage(usage: Any) -> Usage | None:
    """The provider's token counts; None where they are missing or no numbers."""
    try:
        return Usage(int(usage["prompt_tokens"]), int(usage["completion_tokens"]))
    except (KeyError, TypeError, ValueError):
        return None


def _error_status(envelope: Any) -> int | None:
    """The status of an error that came inside an HTTP 200, as OpenRouter sends them."""
    error = envelope.get("error") or envelope["choices"][0].get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and 400 <= code < 600 else None


def _failure_of_status(
    status: int, headers: Mapping[str, str], raw: bytes, latency_ms: int, endpoint: Endpoint
) -> TeacherError:
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
    )


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


def _kind_of(status: int, body: str) -> FailureKind:
    if status in (402, 429) and _NO_CREDIT.search(body):
        return FailureKind.OUT_OF_BUDGET
    if status in (400, 422) and _TOO_LONG.search(body):
        return FailureKind.CONTEXT_TOO_LONG
    if status in (400, 403) and _FILTERED.search(body):
        return FailureKind.REFUSED
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


def _milliseconds_since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
