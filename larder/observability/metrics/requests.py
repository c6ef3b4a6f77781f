"""Counts and times the answers of the web port, by route. Knows nothing of the engine."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from aiohttp import web

from larder.counters.traffic import Histogram

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Bounds: a row takes less than a millisecond, a scan of several workers a few, a read that waits for a write more."""

ELSEWHERE = "(none)"
"""The label of all addresses that have no route: there may be many, and each would become a label."""

STREAM = "text/event-stream"
"""A stream ends when its reader leaves: its duration means nothing."""


class Requests:
    """`answers` by address and status, `seconds` by address."""

    def __init__(self) -> None:
        """Create counts without any answer."""
        self.answers: Counter[tuple[str, int]] = Counter()
        self.seconds: defaultdict[str, Histogram] = defaultdict(lambda: Histogram(SECONDS))

    def count(self, address: str, status: int, seconds: float) -> None:
        """Count an answer, and its duration."""
        self.answers[address, status] += 1
        self.seconds[address].observe(seconds)

    def middleware(self) -> Middleware:
        """Return the middleware that counts; it must be the outermost one, to see the status that is sent."""

        @web.middleware
        async def measured(request: web.Request, handler: Handler) -> web.StreamResponse:
            began = time.perf_counter()
            answer = await handler(request)
            resource = request.match_info.route.resource
            address = ELSEWHERE if resource is None else resource.canonical
            self.answers[address, answer.status] += 1
            if answer.content_type != STREAM:
                self.seconds[address].observe(time.perf_counter() - began)
            return answer

        return measured
