"""A TCP proxy on loopback that does to connections what networks do: reset, blackhole, drip and cut."""

import asyncio
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socket import SO_LINGER, SOL_SOCKET
from typing import Literal
from urllib.parse import urlsplit

Mode = Literal["pass", "reset", "blackhole", "drip", "cut"]


class FaultyProxy:
    """In front of one server; a new connection meets the `mode` of its moment.

    `reset` ends a connection with RST as soon as it is open. `blackhole` takes everything and answers nothing. `drip`
    passes the answer on, a byte every `interval` seconds. `cut` ends the connection after `length` bytes of the answer.
    `connections` counts those that were opened.
    """

    def __init__(self, url: str) -> None:
        self._upstream = urlsplit(url)
        self.mode: Mode = "pass"
        self.interval, self.length = 0.1, 5
        self.connections = 0
        self.url = ""
        self._tasks = set[asyncio.Task[None] | None]()

    async def serve(self, started: threading.Event, stopped: asyncio.Event) -> None:
        """Listen until `stopped`; `url` is known when `started` is set."""
        server = await asyncio.start_server(self._handle, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        self.url = self._upstream._replace(netloc=f"127.0.0.1:{port}").geturl()
        started.set()
        await stopped.wait()
        server.close()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._tasks.add(asyncio.current_task())  # asyncio itself forgets a task whose connection is closed
        with suppress(OSError, asyncio.CancelledError):
            try:
                await self._treat(reader, writer)
            finally:
                writer.transport.abort()
                self._tasks.discard(asyncio.current_task())

    async def _treat(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode == "reset":
            linger_for_nothing = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, linger_for_nothing)
        elif self.mode == "blackhole":
            await reader.read()
        else:
            await self._relay(reader, writer)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, server = await asyncio.open_connection(self._upstream.hostname, self._upstream.port)
        request = asyncio.create_task(_pump(reader, server))
        try:
            await self._answer(answers, writer)
        finally:
            request.cancel()
            server.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode == "drip":
            while byte := await reader.read(1):
                await _send(writer, byte)
                await asyncio.sleep(self.interval)
        elif self.mode == "cut":
            await _send(writer, await reader.readexactly(self.length))
            writer.close()
            await writer.wait_closed()
        else:
            await _pump(reader, writer)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        await _send(writer, data)


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


@contextmanager
def faulty_proxy(url: str) -> Iterator[FaultyProxy]:
    """A proxy in front of a server's URL; `proxy.url` leads through it."""
    proxy, loop = FaultyProxy(url), asyncio.new_event_loop()
    started, stopped = threading.Event(), asyncio.Event()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        thread = threading.Thread(target=runner.run, args=[proxy.serve(started, stopped)])
        thread.start()
        started.wait()
        try:
            yield proxy
        finally:
            loop.call_soon_threadsafe(stopped.set)
            thread.join()
