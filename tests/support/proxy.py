"""A small TCP proxy between one worker and the broker, which can cut, stall or slow down the connection."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Literal

Way = Literal["open", "cut", "held"]

CHUNK = 64 * 1024


class Proxy:
    """Listens on loopback `port` and, while open, forwards everything to loopback `target`.

    cut    connections are closed, and new ones refused at once.
    held   connections stay open and new ones are accepted, but nothing gets through, as if the network dropped it.

    `delay` in seconds applies to each chunk in either direction.
    """

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self.target = target
        self.way: Way = "open"
        self.delay = 0.0
        self.refused = 0
        self._opened = asyncio.Event()
        self._opened.set()
        self._connections: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self.set("cut")
            await self._server.wait_closed()

    def set(self, way: Way, delay: float = 0.0) -> None:
        """Change what happens to connections, including existing ones."""
        self.way, self.delay = way, delay
        if way == "cut":
            for writer in self._connections:
                writer.transport.abort()
        if way == "held":
            self._opened.clear()
        else:
            self._opened.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.way == "cut":
            self.refused += 1
            writer.transport.abort()
            return
        try:
            beyond, onward = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()  # as if the broker were down
            return
        ends = {writer, onward}
        self._connections |= ends
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass_on(reader, onward))
                group.create_task(self._pass_on(beyond, writer))
        finally:
            self._connections -= ends

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK):
                if self.delay:
                    await asyncio.sleep(self.delay)
                await self._opened.wait()
                writer.write(chunk)
                await writer.drain()
        writer.transport.abort()
