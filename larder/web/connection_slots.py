"""Places for connections to the web port: how many there are, and which are kept free for health and metrics.

A worker that has too many clients must not be restarted for it: so there are places that others cannot take, neither
by asking for something else nor by asking slowly.
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
"""At the same time: each is a file descriptor, and the stores need theirs."""

KEPT_FREE = 50
"""More of them, for health and metrics alone."""


FIRST_SECONDS = 2.0
"""For the whole head of the request on one of those, which is one packet or a few: a slow client must not keep the
place. If all of these places are taken, the one that has waited longest for its request is given to the next client.
"""

ANSWER_SECONDS = 10.0
"""For its answer, until the client has it. The connection is closed after it, so that the place is free again."""

KEPT_HEAD_BYTES = 16 * 1024
"""The head of a request on one of those: probes send some hundred bytes, a browser with its cookies a few thousand."""

_KEPT_FOR = re.compile(rb"(?:GET|HEAD) /(?:health|metrics)[/ ?]")

_END_OF_HEAD = b"\r\n\r\n"


def decided(head: bytes) -> bool | None:
    """Say whether a request may have a place that is kept free; None: its head is not whole yet."""
    if _END_OF_HEAD in head:
        return _KEPT_FOR.match(head) is not None
    return False if len(head) > KEPT_HEAD_BYTES else None


class KeptConnection(WebConnection):
    """A connection on a place that is kept free: for one request, and only for health and metrics.

    `unasked` has the connections of this kind whose request has not come whole yet, oldest first.
    """

    __slots__ = ("_deadline", "_head", "_unasked")

    def __init__(
        self,
        server: web.Server,
        short_way: ShortWay,
        requests: Requests | None,
        unasked: dict[KeptConnection, None],
    ) -> None:
        """It is in `unasked` from its beginning until it is decided."""
        super().__init__(server, short_way, requests)
        self._unasked = unasked

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for the request, for a short time."""
        super().connection_made(transport)
        self._head = b""
        self._unasked[self] = None
        self._deadline = self._loop.call_later(FIRST_SECONDS, transport.close)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Give the place back."""
        self._unasked.pop(self, None)
        self._deadline.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Collect the head, then answer or refuse; what comes after it does not matter."""
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
        """Refuse, and close."""
        del self._unasked[self]
        refuse(cast("asyncio.Transport", self.transport), self.requests)


def _last(message: Message) -> Message:
    """Give a request after which its connection is closed; what could not be parsed closes it anyway."""
    return message._replace(should_close=True) if isinstance(message, RawRequestMessage) else message


class RefusedConnection(asyncio.Protocol):
    """One connection too many: told so, and closed."""

    def __init__(self, requests: Requests | None) -> None:
        """`requests` counts it."""
        self._requests = requests

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Answer before anything is asked."""
        # Uvloop's transports, which workers have, are of no class of asyncio's.
        refuse(cast("asyncio.Transport", transport), self._requests)


def refuse(transport: asyncio.Transport, requests: Requests | None) -> None:
    """Say that there is no place, and close the connection; `requests` counts it."""
    if requests is not None:
        requests.count(ELSEWHERE, web.HTTPServiceUnavailable.status_code, 0.0)
    problem = Problem("a connection", "requires a free place", "none: all are taken", "connect again")
    body = encoded("too-busy", problem, 503)
    head = f"HTTP/1.1 503 Service Unavailable\r\nContent-Type: {PROBLEM}\r\nRetry-After: 1\r\nConnection: close\r\n"
    transport.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    transport.close()


def connections(
    server: web.Server, short_way: ShortWay, requests: Requests | None, limit: int
) -> Callable[[], asyncio.BaseProtocol]:
    """Give what makes the protocol of each new connection; `requests` counts what is refused there."""
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
