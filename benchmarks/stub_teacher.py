"""A lean teacher for the benchmarks: a server process that answers after a set time.

    python -m benchmarks.stub_teacher        prints the address of its /v1 and serves

It speaks /v1/chat/completions over keep-alive connections for about 50 µs of CPU a request, so
that it never binds. Beside that: POST /set (settings as JSON), POST /reset (forget the account),
GET /stats (totals), GET /times (when good replies were asked for and sent), GET /keys (per
request: how often asked, paid, and answered well). A completion is paid for when it is written,
whether or not anybody is still there to read it, as a provider bills it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import time
from array import array
from collections import Counter
from typing import Any, cast

import orjson
import uvloop

from benchmarks.stub_replies import (
    SETTINGS,
    Asked,
    Settings,
    choose_fault,
    count_usage,
    read_request,
    write_reply,
)

_JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
_LIMITED = b'{"error":{"message":"Rate limit reached","type":"rate_limit_error"}}'
_SERVER = b'{"error":{"message":"The server had an error","type":"server_error"}}'


class Account:
    """What was asked, and what was paid for, by request and by model."""

    def __init__(self) -> None:
        self.by_key: dict[bytes, list[int]] = {}
        self.by_model: dict[str, list[int]] = {}
        self.totals: Counter[str] = Counter()
        self.arrived, self.replied, self.refused = array("d"), array("d"), array("d")
        self.in_service = self.most_in_service = 0
        self.began_cpu = time.process_time()

    def note_request(self, asked: Asked) -> int:
        """Count a request; return how often it was seen before."""
        self.totals["requests"] += 1
        row = self.by_key.setdefault(asked.key, [0, 0, 0])
        row[0] += 1
        return row[0] - 1

    def note_paid(self, asked: Asked, usage: tuple[int, int]) -> None:
        self.totals["paid"] += 1
        self.by_key[asked.key][1] += 1
        billed = self.by_model.setdefault(asked.model, [0, 0, 0])
        for place, amount in enumerate((1, *usage)):
            billed[place] += amount

    def note_good(self, asked: Asked, arrived: float, now: float) -> None:
        self.totals["good"] += 1
        self.by_key[asked.key][2] += 1
        self.arrived.append(arrived)
        self.replied.append(now)

    def stats(self) -> dict[str, Any]:
        """Totals; `bought_twice` counts completions that were paid for again."""
        rows = self.by_key.values()
        return {
            **dict.fromkeys(("requests", "paid", "good", "unread"), 0),
            **self.totals,
            "keys": len(self.by_key),
            "keys_paid": sum(1 for row in rows if row[1]),
            "bought_twice": sum(row[1] - 1 for row in rows if row[1] > 1),
            "good_twice": sum(row[2] - 1 for row in rows if row[2] > 1),
            "in_service": self.in_service,
            "most_in_service": self.most_in_service,
            "billed": self.by_model,
            "cpu_s": time.process_time() - self.began_cpu,
            "now": time.monotonic(),
        }


class Stub:
    """The one server: its settings and its account."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.settings = Settings()
        self.account = Account()
        self.storm_until = 0.0

    def control(self, path: bytes, body: bytes) -> bytes:
        account = self.account
        if path == b"/set":
            return self._set(orjson.loads(body))
        if path == b"/reset":
            self.account = Account()
            return b"{}"
        if path == b"/times":
            return orjson.dumps(
                {
                    "arrived": account.arrived.tolist(),
                    "replied": account.replied.tolist(),
                    "refused": account.refused.tolist(),
                }
            )
        if path == b"/keys":
            return orjson.dumps({key.hex(): row for key, row in account.by_key.items()})
        return orjson.dumps(account.stats())

    def _set(self, given: dict[str, Any]) -> bytes:
        unknown = set(given) - SETTINGS
        if unknown:
            raise ValueError(f"no such settings: {sorted(unknown)}")
        for name, value in given.items():
            setattr(self.settings, name, value)
        if "storm_seconds" in given:
            self.storm_until = time.monotonic() + given["storm_seconds"]
        return orjson.dumps({"now": time.monotonic()})


class Connection(asyncio.Protocol):
    """One keep-alive connection; a client sends its next request after the reply."""

    def __init__(self, stub: Stub) -> None:
        self._stub = stub
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            lower = head.lower()
            at = lower.find(b"content-length:")
            length = int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._buffer) < end + 4 + length:
                return
            body = self._buffer[end + 4 : end + 4 + length]
            self._buffer = self._buffer[end + 4 + length :]
            path = head.split(b" ", 2)[1]
            if path == b"/v1/chat/completions":
                self._complete(body)
            else:
                self._send(self._stub.control(path, body))

    def _complete(self, body: bytes) -> None:
        now = time.monotonic()
        stub, account, settings = self._stub, self._stub.account, self._stub.settings
        asked = read_request(body, orjson.loads(body))
        seen = account.note_request(asked)
        if now < stub.storm_until:
            account.refused.append(now)
            self._refuse(settings)
            return
        fault = choose_fault(settings, asked, seen)
        if fault:
            account.totals[fault] += 1
        if fault == "rate_limited":
            self._refuse(settings)
        elif fault == "server":
            self._send(_SERVER, status=b"500 Internal Server Error")
        elif fault != "hanging":
            account.in_service += 1
            account.most_in_service = max(account.most_in_service, account.in_service)
            stub.loop.call_later(settings.latency, self._answer, account, asked, fault, now)

    def _refuse(self, settings: Settings) -> None:
        extra = (
            b"" if settings.retry_after is None else b"Retry-After: %g\r\n" % settings.retry_after
        )
        self._send(_LIMITED, status=b"429 Too Many Requests", extra=extra)

    def _answer(self, account: Account, asked: Asked, fault: str, arrived: float) -> None:
        account.in_service -= 1
        if fault == "reset":
            self._transport.abort()
            return
        usage = count_usage(self._stub.settings, asked)
        account.note_paid(asked, usage)
        if self._transport.is_closing():
            account.totals["unread"] += 1
            return
        reply = write_reply(asked, usage, truncated=fault == "truncated")
        if fault == "broken":
            reply = reply[: len(reply) // 2]
        elif not fault:
            account.note_good(asked, arrived, time.monotonic())
        self._send(reply)

    def _send(self, body: bytes, *, status: bytes = b"", extra: bytes = b"") -> None:
        head = _JSON % len(body)
        if status:
            head = head.replace(b"200 OK\r\n", status + b"\r\n" + extra, 1)
        self._transport.write(head + body)


async def serve(port: int) -> None:
    """Serve until the process is ended; the first line printed is the address."""
    stub = Stub()
    server = await stub.loop.create_server(
        lambda: Connection(stub), "127.0.0.1", port, backlog=4096
    )
    number = server.sockets[0].getsockname()[1]
    print(f"http://127.0.0.1:{number}/v1", flush=True)
    await server.serve_forever()


def main() -> None:
    """Serve on the port that was asked for, a free one by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    # A full collection over a large account would be a pause that no provider makes.
    gc.disable()
    uvloop.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
