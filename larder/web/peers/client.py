"""Requests to other workers, in one hop and with limits, only to addresses from the directory.

By default each request has a header that makes the other worker answer alone. The caller decides whether an answer is
usable.
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

from larder.operators.decides.requests import UnknownOutcomeError
from larder.web.parameters import HOP
from larder.web.responses import JSON, KINDS, PROBLEM

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from larder.group.peers import Peer

T = TypeVar("T")

HOP_SECONDS = 2.0
"""The timeout of a whole answer, besides the time that the other worker may wait for a write."""

CONNECT_SECONDS = 0.5
"""A running worker accepts a connection within milliseconds."""

HOPS = 64
"""Concurrent requests to all workers together; more requests wait, within their timeouts. Requests that may wait for a
write have as many of their own, so that they do not delay look-ups."""

ANSWER_BYTES = 32 * 1024 * 1024
"""A larger answer is not read to its end: no worker sends one."""

SILENT_SECONDS = 25.0
"""The timeout for silence: a stream sends a comment every ten seconds, and other answers have shorter timeouts."""

EVENTS = "text/event-stream"

KEPT_HEADERS = ("Retry-After", "Location", "Idempotent-Replayed")
"""Headers of an answer that are passed on."""

ALONE = {HOP: "1"}
"""The headers of a request that the other worker answers without a third one."""

_REDIRECTS = range(300, 400)

_ADDRESS = re.compile(r"https?://[A-Za-z0-9._\-\[\]:]+")


class _Details(msgspec.Struct):
    type: str = ""


class Hopped(NamedTuple):
    """The answer of another worker."""

    peer: Peer
    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def kind(self) -> str:
        """The kind of problem in the answer, "defect" if it is unknown; "" if it has none."""
        if self.status < web.HTTPBadRequest.status_code:
            return ""
        details = self.read(_Details)
        kind = "" if details is None else details.type.removeprefix("urn:larder:")
        return kind if kind in KINDS else "defect"

    def read(self, form: type[T]) -> T | None:
        """Parse the body; None if it has another form."""
        try:
            return msgspec.json.decode(self.body, type=form)
        except msgspec.DecodeError:
            return None


class Hopping:
    """Owns the connections to other workers; `headers` go with each request."""

    def __init__(self, headers: Mapping[str, str] = ALONE) -> None:
        """Start without connections."""
        self._headers = headers
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def ask(self, peer: Peer, path: str, seconds: float = HOP_SECONDS) -> Hopped | None:
        """Request `path`, which is encoded and has its query; return None without an answer within `seconds`."""
        session = self._session(waits=seconds > HOP_SECONDS)
        try:
            asked = session.get(_address(peer, path), allow_redirects=False)
            async with asyncio.timeout(seconds), asked as answer:
                body = await _body(answer)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return None
        if answer.status in _REDIRECTS or answer.content_type not in {JSON, PROBLEM}:
            return None
        retry = answer.headers.get("Retry-After")
        return Hopped(peer, answer.status, body, {} if retry is None else {"Retry-After": retry})

    async def post(
        self, peer: Peer, path: str, body: bytes, headers: Mapping[str, str], seconds: float
    ) -> Hopped | None:
        """Let another worker take a request; return None if it was not reached.

        Raise UnknownOutcomeError if it was reached, and did not answer within `seconds`.
        """
        session = self._session(waits=True)
        try:
            asked = session.post(_address(peer, path), data=body, headers=headers, allow_redirects=False)
            async with asyncio.timeout(seconds), asked as answer:
                found = await _body(answer)
        except (aiohttp.ClientConnectorError, aiohttp.InvalidURL):
            return None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            message = f"worker {peer.worker} took the request, and did not answer"
            raise UnknownOutcomeError(message) from error
        if answer.status in _REDIRECTS or answer.content_type not in {JSON, PROBLEM}:
            message = f"what answers as worker {peer.worker} is no worker"
            raise UnknownOutcomeError(message)
        kept = {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers}
        return Hopped(peer, answer.status, found, kept)

    @asynccontextmanager
    async def stream(self, peer: Peer, path: str, last: str) -> AsyncIterator[aiohttp.StreamReader]:
        """Stream the events of another worker; raises aiohttp.ClientError or TimeoutError if it sends none."""
        headers = {"Last-Event-ID": last} if last else {}
        where = _address(peer, path)
        # A stream has its own connection, so that streams never take all those of single requests.
        async with (
            _session(self._headers) as session,
            session.get(where, headers=headers, allow_redirects=False, raise_for_status=True) as answer,
        ):
            if answer.content_type != EVENTS:
                raise aiohttp.ClientPayloadError(answer.content_type)
            yield answer.content

    def _session(self, *, waits: bool) -> aiohttp.ClientSession:
        if waits not in self._sessions:
            self._sessions[waits] = _session(self._headers)
        return self._sessions[waits]

    async def close(self) -> None:
        """Close all connections."""
        for session in self._sessions.values():
            await session.close()


def _session(headers: Mapping[str, str]) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=HOPS),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS),
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),
    )


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    """Read a whole body; one that is too large is cut off, and cannot be parsed."""
    body = bytearray()
    while (more := await answer.content.read(ANSWER_BYTES)) and len(body) <= ANSWER_BYTES:
        body += more
    return bytes(body)


def _address(peer: Peer, path: str) -> URL:
    if not _ADDRESS.fullmatch(peer.web):
        raise aiohttp.InvalidURL(peer.web)
    return URL(f"{peer.web}{path}", encoded=True)


HOPPING = web.AppKey("hopping", Hopping)


def hopping(request: web.Request) -> Hopping:
    """Return the client for requests to other workers."""
    return request.app[HOPPING]
