"""A connection to the web port: how long it may be idle, and how large the head of a request may be.

Requests that are not HTTP, or too large, never reach the addresses. Subclasses aiohttp's request handler (3.11 to
3.14), to answer requests that it cannot parse, and to see each request before it is parsed.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

from larder.declaring.problems import Problem
from larder.observability.metrics.requests import ELSEWHERE
from larder.web.fast_path import read
from larder.web.responses import PROBLEM, problem_details

if TYPE_CHECKING:
    from aiohttp.web_request import BaseRequest

    from larder.observability.metrics.requests import Requests
    from larder.web.fast_path import ShortWay

SILENT_SECONDS = 30.0
"""The time between requests, and for the head of one: a slower client has to reconnect. Our own clients keep one for
less."""

LINE_BYTES = 64 * 1024
"""The size limit of an address with its query: a thousand keys fit."""

HEADER_BYTES = 8 * 1024
"""The size limit of one header, of which there may be 64."""

HEADERS = 64


class WebConnection(RequestHandler):
    """Answers requests that cannot be parsed with a problem, and simple ones on the fast path.

    `short_way` is None after the first request of another kind: from then on, only the parser knows where a request
    begins.
    """

    __slots__ = ("requests", "short_way")

    def __init__(self, server: web.Server, short_way: ShortWay, requests: Requests | None) -> None:
        """Create a connection; `requests` counts refused requests."""
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # as AppRunner's own documentation has it
            keepalive_timeout=SILENT_SECONDS,
            max_line_size=LINE_BYTES,
            max_field_size=HEADER_BYTES,
            max_headers=HEADERS,
        )
        self.requests = requests
        self.short_way: ShortWay | None = short_way

    def data_received(self, data: bytes) -> None:
        """Answer on the fast path, or parse the request."""
        if self.short_way is not None:
            if (asked := read(data)) is None:
                self.short_way = None
            elif self._is_idle() and (answer := self.short_way.answer(asked)) is not None:
                cast("asyncio.Transport", self.transport).write(answer)
                self._stay()
                return
        super().data_received(data)

    def _is_idle(self) -> bool:
        """Return whether the last answer was sent and the client reads."""
        waiter = self._waiter
        return waiter is not None and not (
            waiter.done() or self._messages or self.writing_paused or self._close or self._force_close
        )

    def _stay(self) -> None:
        """Count a request and restart the idle timer, as the request handler does after each."""
        assert self._manager is not None  # noqa: S101 - there is one until the connection is lost
        self._manager.requests_count += 1
        self._keepalive = True
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(self._next_keepalive_close_time, self._process_keepalive)

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer with a problem and close: what follows may not be a request."""
        if request.writer.output_size > 0:
            answered = "an answer has already begun"
            raise ConnectionError(answered)
        if status == web.HTTPBadRequest.status_code:
            status = _refused(exc)
        if self.requests is not None:
            self.requests.count(ELSEWHERE, status, 0.0)
        found = (message or (str(exc) if exc else "another thing")).partition("\n")[0]
        limits = f"requires HTTP/1.1: an address up to {LINE_BYTES} bytes, {HEADERS} headers of {HEADER_BYTES}"
        kind = "mistake" if status < web.HTTPInternalServerError.status_code else "defect"
        body = encoded(kind, Problem("a request", limits, found[:200], "shorten or correct the request"), status)
        response = web.Response(body=body, status=status, content_type=PROBLEM)
        response.force_close()
        return response


def _refused(error: BaseException | None) -> int:
    """Return the status for a request that cannot be parsed: 414 if its address is too long, 431 if its headers are."""
    if isinstance(error, LineTooLong):
        _, limit, _ = error.args
        of_address = str(limit) == str(LINE_BYTES)
        return (web.HTTPRequestURITooLong if of_address else web.HTTPRequestHeaderFieldsTooLarge).status_code
    if "Too many headers" in str(error):
        return web.HTTPRequestHeaderFieldsTooLarge.status_code
    return web.HTTPBadRequest.status_code


def encoded(kind: str, problem: Problem, status: int) -> bytes:
    """Return the body of an answer with this problem."""
    return msgspec.json.encode(problem_details(kind, problem, status))
