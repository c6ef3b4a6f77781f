"""Limits the connections to the web port, and reserves some of them for health and metrics.

A worker must not be restarted because it has too many clients. So other requests, and slow ones, cannot take the
reserved connections.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from typing import TYPE_CHECKING, TypeVar, cast

from aiohttp import web
from aiohttp.http import RawRequestMessage

from larder.declaring.problems import Problem
from larder.observability.metrics.requests import ELSEWHERE
from larder.web.connections import WebConnection, encoded
from larder.web.responses import PROBLEM

if TYPE_CHECKING:
    from collections.abc import Callable

    from larder.observability.metrics.requests import Requests
    from larder.web.fast_path import ShortWay

Message = TypeVar("Message")

CONNECTIONS = 1_000
"""The limit of connections: each takes a file descriptor, and the stores need theirs."""

KEPT_FREE = 50
"""Additional connections, only for health and metrics."""


FIRST_SECONDS = 2.0
"""The time for the head of a request on a reserved connection, which is a few packets: a slow client must not keep it.
If all of them are taken, the next client replaces the one that has waited longest for its request.
"""

ANSWER_SECONDS = 10.0
"""The time for its answer. The connection closes after it and is free again."""

KEPT_HEAD_BYTES = 16 * 1024
"""The size limit of that head: probes send some hundred bytes, a browser with its cookies a few thousand."""

_KEPT_FOR = re.compile(rb"(?:GET|HEAD) /(?:health|metrics)[/ ?]")

_END_OF_HEAD = b"\r\n\r\n"


def decided(head: bytes) -> bool | None:
    """Return whether a request may use a reserved connection; None while its head is incomplete."""
    if _END_OF_HEAD in head:
        return _KEPT_FOR.match(head) is not None
    return False if len(head) > KEPT_HEAD_BYTES else None


class KeptConnection(WebConnection):
    """A reserved connection: for one request, and only for health and metrics.

    `unasked` has the reserved connections whose request is still incomplete, oldest first.
    """

    __slots__ = ("_deadline", "_head", "_unasked")

    def __init__(
        self,
        server: web.Server,
        short_way: ShortWay,
        requests: Requests | None,
        unasked: dict[KeptConnection, None],
    ) -> None:
        """Create a connection, which is in `unasked` until its request is complete."""
        super().__init__(server, short_way, requests)
        self._unasked = unasked

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait a short time for the request."""
        super().connection_made(transport)
        self._head = b""
        self._unasked[self] = None
        self._deadline = self._loop.call_later(FIRST_SECONDS, transport.close)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Free the connection."""
        self._unasked.pop(self, None)
        self._deadline.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Collect the head, then answer or refuse; ignore what comes after it."""
        if self not in self._unasked:
            return
        self._head += data
        if (fits := decided(self._head)) is None:
            return
        if not fits:
            self.give_way()
            return
        transport = cast("asyncio.Transport", self.transport)
        del self._unasked[self]
        self._deadline.cancel()
        self._deadline = self._loop.call_later(ANSWER_SECONDS, transport.abort)
        super().data_received(self._head)
        self._messages = deque((_last(message), payload) for message, payload in self._messages)

    def give_way(self) -> None:
        """Refuse the request, and close."""
        del self._unasked[self]
        refuse(cast("asyncio.Transport", self.transport), self.requests)


def _last(message: Message) -> Message:
    """Return a request that closes its connection; one that cannot be parsed closes it anyway."""
    return message._replace(should_close=True) if isinstance(message, RawRequestMessage) else message


class RefusedConnection(asyncio.Protocol):
    """A connection beyond the limit: it gets an error and is closed."""

    def __init__(self, requests: Requests | None) -> None:
        """Create a connection, which `requests` counts."""
        self._requests = requests

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Answer before any request."""
        # The transports of uvloop, which workers use, have no base class of asyncio.
        refuse(cast("asyncio.Transport", transport), self._requests)


def refuse(transport: asyncio.Transport, requests: Requests | None) -> None:
    """Answer that all connections are taken, and close this one; `requests` counts it."""
    if requests is not None:
        requests.count(ELSEWHERE, web.HTTPServiceUnavailable.status_code, 0.0)
    problem = Problem("a connection", "requires a free connection", "none: all are in use", "connect again")
    body = encoded("too-busy", problem, 503)
    head = f"HTTP/1.1 503 Service Unavailable\r\nContent-Type: {PROBLEM}\r\nRetry-After: 1\r\nConnection: close\r\n"
    transport.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    transport.close()


def connections(
    server: web.Server, short_way: ShortWay, requests: Requests | None, limit: int
) -> Callable[[], asyncio.BaseProtocol]:
    """Return the factory of protocols for new connections; `requests` counts refused requests."""
    unasked: dict[KeptConnection, None] = {}

    def connection() -> asyncio.BaseProtocol:
        taken = len(server.connections)
        if taken < limit:
            return WebConnection(server, short_way, requests)
        if taken >= limit + KEPT_FREE:
            if not unasked:
                return RefusedConnection(requests)
            next(iter(unasked)).give_way()
        return KeptConnection(server, short_way, requests, unasked)

    return connection
