"""A network that is slow: every request reaches the server so much later."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def delayed(port: int, seconds: float) -> Iterator[int]:
    """A port of this machine that leads to `port`, each piece of a request `seconds` later."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(
        asyncio.start_server(_Proxy(port, seconds).serve, "127.0.0.1", 0)
    )
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


class _Proxy:
    def __init__(self, port: int, seconds: float) -> None:
        self._port, self._seconds = port, seconds

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection's bytes both ways, until either side closes it."""
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._port)
        with suppress(ConnectionError, asyncio.CancelledError):
            await asyncio.gather(
                self._carry(reader, there_writer, self._seconds),
                self._carry(there_reader, writer, 0),
            )

    async def _carry(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, seconds: float
    ) -> None:
        while piece := await source.read(65_536):
            await asyncio.sleep(seconds)
            sink.write(piece)
            await sink.drain()
        sink.close()
