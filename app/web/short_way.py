"""The short way of the usual request: one row by its key, which is here, as JSON.

It stands before the application and answers nothing else: whatever is asked, is found or is missing otherwise goes the
whole way (`app.web.rows`), which gives the same answer, byte for byte (but for the date). What it leaves out cost more
than the look-up: routing, middlewares, negotiation, headers made one by one. Uses of aiohttp (3.11 to 3.14) what its
request handler asks of a response, and its clock of the date.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from aiohttp import HttpVersion11, web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import SERVER_SOFTWARE

from agents.engine.partitioning import partition_of
from app.key_texts import encoded_key
from app.lookup import told_row
from app.routing import is_mine
from app.web.answering import JSON
from app.web.asking import HOP
from app.web.limits import BIG_BYTES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.web_request import BaseRequest

    from app.metrics.requests import Requests
    from app.web.sources import Sources

    Answering = Callable[[BaseRequest], Awaitable[web.StreamResponse]]

ADDRESS = "/tables/{table}/rows/{key}"
"""As routes are called where answers are counted."""

_PLAIN = re.compile(r"/tables/([A-Za-z0-9_.~-]+)/rows/(?!\.{1,2}$)([A-Za-z0-9_.~:@-]+)")
"""What means the same however it is read: nothing percent-encoded, no query, no step upwards."""

_HEAD = (
    f"HTTP/1.1 200 OK\r\nContent-Type: {JSON}\r\nVary: Accept\r\nContent-Length: %d\r\nDate: %s\r\n"
    f"Server: {SERVER_SOFTWARE}\r\n\r\n"
)


class Whole(web.StreamResponse):
    """An answer that is written at once, head and body, on a connection that stays."""

    def __init__(self, body: bytes) -> None:
        """Keep the body."""
        super().__init__()
        self._whole = (_HEAD % (len(body), rfc822_formatted_time())).encode() + body

    @property
    def keep_alive(self) -> bool:
        """Stay."""
        return True

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter:
        """Write."""
        writer = self._payload_writer = request.writer
        await writer.write(self._whole)
        return writer

    async def write_eof(self, data: bytes = b"") -> None:  # noqa: ARG002 - as the class above has it
        """Wait for a client that takes its time, as all answers do."""
        if self._payload_writer is not None:
            await self._payload_writer.drain()


def before(answering: Answering, here: Sources, requests: Requests | None) -> Answering:
    """Answer rows, and leave everything else to `answering`; `requests` counts what is answered here."""

    async def answer(request: BaseRequest) -> web.StreamResponse:
        began = time.perf_counter()
        try:
            body = _row(request, here)
        except Exception:  # noqa: BLE001 - the whole way meets it again, and says what it is
            body = None
        if body is None:
            return await answering(request)
        if requests is not None:
            requests.count(ADDRESS, 200, time.perf_counter() - began)
        return Whole(body)

    return answer


def _row(request: BaseRequest, here: Sources) -> bytes | None:
    """Give the answer, None where there is more to it."""
    if request.method != "GET" or (asked := _PLAIN.fullmatch(request.raw_path)) is None:
        return None
    headers = request.headers
    if (
        request.version != HttpVersion11
        or not request.keep_alive
        or request.body_exists
        or "Expect" in headers
        or "text/html" in headers.get("Accept", "")
    ):
        return None
    name, text = asked.groups()
    if (held := here.tables.get(name)) is None:
        return None
    key = encoded_key(held.table.topic, text)
    if held.table.held != "global" and HOP not in headers:
        count = held.partition_count
        if not count or not is_mine(held, partition_of(key, count)):
            return None
    if (found := held.table.origin(key)) is None:
        return None
    body = told_row(held, text, *found, here.clock(), here.worker)
    return body if len(body) <= BIG_BYTES else None
