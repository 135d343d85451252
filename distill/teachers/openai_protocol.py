"""The OpenAI chat-completions protocol over raw aiohttp and orjson: the one door to models.

Everything that can go wrong outside is translated into `TeacherError` with a kind, once: what was
answered in `envelope`, what happened to the connection here.

    no connection            CONNECTION or TIMEOUT with `is_sent=False`: it cannot have been billed
    reset, cut off           CONNECTION
    a deadline               TIMEOUT; the message says which one

The official `openai` package is not used: it costs 3 to 7 ms of CPU a request against 0.35 ms.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import aiohttp
import orjson

from distill.logic.errors import FailureKind, InputError, TeacherError
from distill.logic.retry import Deadlines
from distill.logic.types import Reply, Request
from distill.teachers.dialects import adapt
from distill.teachers.endpoint import Endpoint
from distill.teachers.envelope import failure_of_status, read_reply

# Raised before the first byte of a request has left.
_NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError)


class OpenAIProtocol:
    """A `Teacher` for every endpoint of the protocol; several base URLs share one session.

    `find_endpoint` maps a configured teacher name to its endpoint and may raise `InputError`.
    `deadlines` hold for each request: to connect (with the look-up of the name), from there until
    the reply begins (the same time is allowed between two parts of its body), and in all.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        find_endpoint: Callable[[str], Endpoint],
        *,
        deadlines: Deadlines | None = None,
    ) -> None:
        self._session = session
        self._find_endpoint = find_endpoint
        self._deadlines = deadlines or Deadlines()
        self._timeout = aiohttp.ClientTimeout(
            total=self._deadlines.total_seconds,
            connect=self._deadlines.connect_seconds,
            sock_read=self._deadlines.first_byte_seconds,
        )

    async def ask(self, request: Request) -> Reply:
        """Send `request` once and return the whole reply. Raises `TeacherError` alone."""
        started = time.monotonic()
        try:
            endpoint = self._find_endpoint(request.teacher)
        except InputError as error:
            raise TeacherError(FailureKind.AUTHENTICATION, str(error), is_sent=False) from error
        try:
            return await self._ask(request, endpoint, started)
        except TeacherError as error:
            error.args = (endpoint.hide_secrets(str(error)),)
            raise

    async def _ask(self, request: Request, endpoint: Endpoint, started: float) -> Reply:
        body = _encode(build_body(request, endpoint))
        status, headers, raw = await self._post(endpoint, body, started)
        latency_ms = _milliseconds_since(started)
        if status != 200:
            raise failure_of_status(status, headers, raw, latency_ms=latency_ms, endpoint=endpoint)
        return read_reply(raw, latency_ms=latency_ms, headers=headers, endpoint=endpoint)

    async def _post(
        self, endpoint: Endpoint, body: bytes, started: float
    ) -> tuple[int, Mapping[str, str], bytes]:
        headers = {"Content-Type": "application/json"}
        if endpoint.api_key:
            headers["Authorization"] = f"Bearer {endpoint.api_key}"
        has_begun = False
        try:
            async with self._session.post(
                f"{endpoint.base_url}/chat/completions",
                data=body,
                headers=headers,
                timeout=self._timeout,
                proxy=endpoint.proxy,
                allow_redirects=False,
            ) as response:
                has_begun = True
                return response.status, response.headers, await response.read()
        except TimeoutError as error:
            raise self._timed_out(endpoint, error, started, has_begun=has_begun) from error
        except (aiohttp.InvalidURL, ValueError) as error:
            message = f"{endpoint.base_url} cannot be asked: {error}"
            raise TeacherError(FailureKind.BAD_REQUEST, message, is_sent=False) from error
        except (aiohttp.ClientError, OSError) as error:
            raise _disconnected(endpoint, error, started) from error

    def _timed_out(
        self, endpoint: Endpoint, error: TimeoutError, started: float, *, has_begun: bool
    ) -> TeacherError:
        deadlines = self._deadlines
        is_connecting = isinstance(error, aiohttp.ConnectionTimeoutError)
        if is_connecting:
            said = f"could not connect to {endpoint.base_url} within {deadlines.connect_seconds:g}"
        elif not isinstance(error, aiohttp.ServerTimeoutError):
            said = f"{endpoint.base_url} sent no whole reply within {deadlines.total_seconds:g}"
        elif has_begun:
            said = f"{endpoint.base_url} stopped in the middle of its reply for "
            said += f"{deadlines.first_byte_seconds:g}"
        else:
            said = f"{endpoint.base_url} did not begin its reply within "
            said += f"{deadlines.first_byte_seconds:g}"
        return TeacherError(
            FailureKind.TIMEOUT,
            f"{said} s",
            latency_ms=_milliseconds_since(started),
            is_sent=not is_connecting,
        )


def open_session(*, slots: int) -> aiohttp.ClientSession:
    """A session with one pooled connection a slot, over all base URLs together."""
    connector = aiohttp.TCPConnector(limit=slots, limit_per_host=0, ttl_dns_cache=300)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "nexa-distill"},
    )


def build_body(request: Request, endpoint: Endpoint) -> dict[str, object]:
    """The JSON body for `request`, in the dialect of the endpoint's provider and model."""
    messages = [{"role": part.role, "content": part.content} for part in request.messages]
    parameters = adapt(endpoint.provider, endpoint.model, request.parameters)
    if request.draw and (endpoint.seeds_draws or isinstance(parameters.get("seed"), int)):
        # The same seed would give the same answer: a further draw moves it.
        parameters["seed"] = int(str(parameters.get("seed") or 0)) + request.draw
    return {"model": endpoint.model, "messages": messages, **parameters}


def reread(raw: bytes, teacher: str, latency_ms: int) -> Reply:
    """The reply inside an accepted body that the ledger kept; needs neither key nor network."""
    provider, _, model = teacher.partition(":")
    endpoint = Endpoint(base_url="", api_key="", model=model, provider=provider)
    return read_reply(raw, latency_ms=latency_ms, headers={}, endpoint=endpoint)


def _encode(body: dict[str, object]) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError as error:
        message = f"the request cannot be written as JSON: {error}"
        raise TeacherError(FailureKind.BAD_REQUEST, message, is_sent=False) from error


def _disconnected(endpoint: Endpoint, error: Exception, started: float) -> TeacherError:
    return TeacherError(
        FailureKind.CONNECTION,
        f"the connection to {endpoint.base_url} failed: {error or type(error).__name__}",
        latency_ms=_milliseconds_since(started),
        is_sent=not isinstance(error, _NEVER_SENT),
    )


def _milliseconds_since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)
