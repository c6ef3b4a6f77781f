"""Counts the unsettled dead letters of the service in the background, while clients ask for the number.

A worker's counts start with the worker, but its dead letters outlast it in their topic. Reading them takes seconds, so
no request waits for it: if the count is old, the request starts a new one, and gets the last.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from aiohttp import web

from larder.config.errors import UnavailableError
from larder.dead_letters.reading import count_again
from larder.kafka.conversations import talk
from larder.web.sources import SOURCES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from larder.dead_letters.reading import Counted

READ_SECONDS = 5.0
"""The timeout of a count, which itself ends after three seconds: less than a worker has to stop."""

FIRST_SECONDS = 1.0
"""How long a request waits for the first count."""

PAUSE_SECONDS = 20.0
"""The time between two counts. A topic without new records is not read again."""

LEAST_REST = 10.0
"""The pause before the next count, in durations of the last one: counting uses at most a tenth of a core."""


class Unsettled:
    """The last count; `count` derives the next one from it in another thread, and may raise UnavailableError."""

    def __init__(self, count: Callable[[Counted | None], Counted], clock: Callable[[], float] = time.monotonic) -> None:
        """Start without a count."""
        self._count = count
        self._clock = clock
        self._last: Counted | None = None
        self._due = 0.0
        self._counting: asyncio.Task[None] | None = None

    async def known(self) -> Counted | None:
        """Return the last count; None if there is none yet because the broker is slow or unreachable."""
        if self._counting is None and self._clock() >= self._due:
            self._counting = asyncio.create_task(self._again())
        if self._last is None and self._counting is not None:
            await asyncio.wait([self._counting], timeout=FIRST_SECONDS)
        return self._last

    async def close(self) -> None:
        """Cancel the running count."""
        if self._counting is not None:
            self._counting.cancel()
            await asyncio.wait([self._counting])

    async def _again(self) -> None:
        began = self._clock()
        try:
            # While the broker is unreachable, the last count stays.
            with contextlib.suppress(UnavailableError):
                self._last = await asyncio.to_thread(self._count, self._last)
        finally:
            took = self._clock() - began
            self._due = self._clock() + max(PAUSE_SECONDS, LEAST_REST * took)
            self._counting = None


async def told_unsettled(request: web.Request) -> dict[str, Any] | None:
    """Return the last count as the overview needs it; None if there is none yet."""
    found = await request.app[_UNSETTLED].known()
    return None if found is None else found.tally.as_dict()


def set_up(app: web.Application) -> None:
    """Start without a count; a running one ends with the application."""

    async def counting(_: web.Application) -> AsyncIterator[None]:
        yield
        await app[_UNSETTLED].close()

    here = app[SOURCES]
    app[_UNSETTLED] = Unsettled(
        lambda last: talk(here.connection, count_again(here.connection, here.service, last), READ_SECONDS)
    )
    app.cleanup_ctx.append(counting)


_UNSETTLED = web.AppKey("unsettled", Unsettled)
