"""One bounded hop to another worker of the service: to an address that the directory has, and to no other.

What is asked so carries a header by which the other one answers itself. Whether an answer will do is decided by who
asked for it.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import aiohttp
import msgspec
from aiohttp import web
from yarl import URL

from larder.web.parameters import HOP
from larder.web.responses import JSON, KINDS, PROBLEM

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from larder.group.peers import Peer

T = TypeVar("T")

HOP_SECONDS = 2.0
"""For a whole answer of another worker, beside what that one is asked to wait for."""

CONNECT_SECONDS = 0.5
"""A worker that is there takes a connection in milliseconds."""

HOPS = 64
"""At once, to all workers together; more wait for one to end, within their time. As many again for those that another
worker lets wait for a write: they must not keep a look-up from its turn."""

ANSWER_BYTES = 32 * 1024 * 1024
"""An answer that is larger than any of ours is not read to its end."""

SILENT_SECONDS = 25.0
"""Without a byte: a stream gives a sign of life every ten seconds, and no other answer is waited for that long."""

EVENTS = "text/event-stream"

_REDIRECTS = range(300, 400)

_ADDRESS = re.compile(r"https?://[A-Za-z0-9._\-\[\]:]+")


class _Details(msgspec.Struct):
    type: str = ""


class Hopped(NamedTuple):
    """What another worker answered."""

    peer: Peer
    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def kind(self) -> str:
        """The kind of a problem, a defect where it is none of ours; "" of an answer that is no problem."""
        if self.status < web.HTTPBadRequest.status_code:
            return ""
        details = self.read(_Details)
        kind = "" if details is None else details.type.removeprefix("urn:larder:")
        return kind if kind in KINDS else "defect"

    def read(self, form: type[T]) -> T | None:
        """Read the body; None where it has another form."""
        try:
            return msgspec.json.decode(self.body, type=form)
        except msgspec.DecodeError:
            return None


class Hopping:
    """Owns the connections to other workers."""

    def __init__(self) -> None:
        """Begin without a connection."""
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def ask(self, peer: Peer, path: str, seconds: float = HOP_SECONDS) -> Hopped | None:
        """Ask for `path`, encoded and with its query; None when no answer comes within `seconds`."""
        waits = seconds > HOP_SECONDS
        if waits not in self._sessions:
            self._sessions[waits] = _session()
        try:
            asked = self._sessions[waits].get(_address(peer, path), allow_redirects=False)
            async with asyncio.timeout(seconds), asked as answer:
                body = bytearray()
                while (more := await answer.content.read(ANSWER_BYTES)) and len(body) <= ANSWER_BYTES:
                    body += more
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return None
        if answer.status in _REDIRECTS or answer.content_type not in {JSON, PROBLEM}:
            return None
        retry = answer.headers.get("Retry-After")
        return Hopped(peer, answer.status, bytes(body), {} if retry is None else {"Retry-After": retry})

    @asynccontextmanager
    async def stream(self, peer: Peer, path: str, last: str) -> AsyncIterator[aiohttp.StreamReader]:
        """Listen to the events of another worker; raises aiohttp.ClientError or TimeoutError when there are none."""
        headers = {"Last-Event-ID": last} if last else {}
        where = _address(peer, path)
        # A connection of its own: those of single questions are never all taken by streams.
        async with (
            _session() as session,
            session.get(where, headers=headers, allow_redirects=False, raise_for_status=True) as answer,
        ):
            if answer.content_type != EVENTS:
                raise aiohttp.ClientPayloadError(answer.content_type)
            yield answer.content

    async def close(self) -> None:
        """Close what is open."""
        for session in self._sessions.values():
            await session.close()


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=HOPS),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS),
        headers={HOP: "1"},
        cookie_jar=aiohttp.DummyCookieJar(),
    )


def _address(peer: Peer, path: str) -> URL:
    if not _ADDRESS.fullmatch(peer.web):
        raise aiohttp.InvalidURL(peer.web)
    return URL(f"{peer.web}{path}", encoded=True)


HOPPING = web.AppKey("hopping", Hopping)


def hopping(request: web.Request) -> Hopping:
    """Give what asks other workers."""
    return request.app[HOPPING]
