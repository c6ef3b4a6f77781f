"""The fast path of the usual request: one local row by its key, as JSON, on a connection that stays open.

It gets the bytes of a request before they are parsed. It answers at once, or leaves the request to the normal path
(`larder.web.routes.rows`), which gives the same answer. Routing, tasks, middlewares, negotiation and headers cost
several times as much as the lookup. They also take two more turns of the event loop, each of which may wait for a slice
of ingestion.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import SERVER_SOFTWARE

from larder.config.errors import AppError
from larder.config.web_address import is_name_of
from larder.kafka.partitioner import partition_of
from larder.queries.key_texts import encoded_key
from larder.queries.lookup_errors import LookupFailedError
from larder.queries.routing import is_mine
from larder.queries.row_answers import row_answer
from larder.store import StoreError
from larder.web.limits import BIG_BYTES
from larder.web.parameters import HOP
from larder.web.responses import JSON

if TYPE_CHECKING:
    from larder.observability.metrics.requests import Requests
    from larder.web.sources import Sources

ADDRESS = "/tables/{table}/rows/{key}"
"""The name of the route in the count of answers."""

LONGEST = 4096
"""The size limit of a head: programs send some hundred bytes, and browsers get pages."""

_HOP = f"\r\n{HOP.lower()}:".encode()

# An address with only one reading: no percent-encoding, no query, no dot segments. Its headers are those that programs
# send with every request and that change nothing, or are checked below. Any other header takes the normal path.
_REQUEST = re.compile(
    rb"GET /tables/([A-Za-z0-9_.~-]+)/rows/(?!\.{1,2} )([A-Za-z0-9_.~:@-]+) HTTP/1\.1\r\n"
    rb"(?i:Host: ([a-z0-9_.:\[\]-]+)\r\n"
    rb"(?:(?:User-Agent|Accept|Accept-Encoding|" + HOP.encode() + rb"): [\x20-\x7e]*\r\n"
    rb"|Connection: keep-alive\r\n)*)\r\n"
)

_HEAD = (
    f"HTTP/1.1 200 OK\r\nContent-Type: {JSON}\r\nVary: Accept\r\nContent-Length: %d\r\nDate: %s\r\n"
    f"Server: {SERVER_SOFTWARE}\r\n\r\n"
)


class FastRequest:
    """A request that may take the fast path."""

    __slots__ = ("hop", "host", "key", "table")

    def __init__(self, table: str, key: str, host: str, *, hop: bool) -> None:
        """Keep the table, the key and the host; `hop`: the request is from another worker."""
        self.table = table
        self.key = key
        self.host = host
        self.hop = hop


def read(data: bytes) -> FastRequest | None:
    """Parse received bytes; return None unless they are one complete request of this kind."""
    if len(data) > LONGEST or (found := _REQUEST.fullmatch(data)) is None:
        return None
    lower = data.lower()
    if b"text/html" in lower:
        return None
    table, key, host = found.groups()
    return FastRequest(table.decode(), key.decode(), host.decode(), hop=_HOP in lower)


class ShortWay:
    """Answers from the same sources as the application; `requests` counts the answers."""

    def __init__(self, here: Sources, requests: Requests | None) -> None:
        """Start without an answer."""
        self._here = here
        self._requests = requests

    def answer(self, asked: FastRequest) -> bytes | None:
        """Return head and body; None if it takes more than reading a local row."""
        began = time.perf_counter()
        if self._here.bound is not None and not is_name_of(asked.host, self._here.bound):
            return None
        try:
            body = _row(self._here, asked)
        except (AppError, LookupFailedError, StoreError):
            return None  # The normal path gets the same error and reports it.
        if body is None or len(body) > BIG_BYTES:
            return None
        if self._requests is not None:
            self._requests.count(ADDRESS, 200, time.perf_counter() - began)
        return (_HEAD % (len(body), rfc822_formatted_time())).encode() + body


def _row(here: Sources, asked: FastRequest) -> bytes | None:
    if (held := here.tables.get(asked.table)) is None:
        return None
    key = encoded_key(held.topic, asked.key)
    if held.held != "global" and not asked.hop:
        count = held.partition_count
        if not count or not is_mine(held, partition_of(key, count)):
            return None
    found = held.stored.origin(key)
    return None if found is None else row_answer(held, asked.key, key, *found, here.clock(), here.worker)
