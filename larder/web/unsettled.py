"""How many dead letters of the service nobody has settled, counted in the background while somebody looks.

The counts of a worker begin with its start; what lies in the topic outlasts it. Reading it takes seconds, so that no
request does: one that finds the count old begins the next one, and is answered with the last.
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
"""For a count, which itself ends after three seconds: less than a worker has to stop."""

FIRST_SECONDS = 1.0
"""That a request waits for the first count."""

PAUSE_SECONDS = 20.0
"""Between two counts. A topic to which nothing was written since is not read again."""

LEAST_REST = 10.0
"""Times that a count took, before the next one: counting takes a tenth of a core at most."""


class Unsettled:
    """The last count; `count` makes a new one out of it, in another thread, and may raise UnavailableError."""

    def __init__(self, count: Callable[[Counted | None], Counted], clock: Callable[[], float] = time.monotonic) -> None:
        """Begin without a count."""
        self._count = count
        self._clock = clock
        self._last: Counted | None = None
        self._due = 0.0
        self._counting: asyncio.Task[None] | None = None

    async def known(self) -> Counted | None:
        """Give the last count; None while there is none, as the broker is slow or away."""
        if self._counting is None and self._clock() >= self._due:
            self._counting = asyncio.create_task(self._again())
        if self._last is None and self._counting is not None:
            await asyncio.wait([self._counting], timeout=FIRST_SECONDS)
        return self._last

    async def close(self) -> None:
        """End the count that is being made."""
        if self._counting is not None:
            self._counting.cancel()
            await asyncio.wait([self._counting])

    async def _again(self) -> None:
        began = self._clock()
        try:
            # Nobody can say how many there are while the broker is away: what was known before stays known.
            with contextlib.suppress(UnavailableError):
                self._last = await asyncio.to_thread(self._count, self._last)
        finally:
            took = self._clock() - began
            self._due = self._clock() + max(PAUSE_SECONDS, LEAST_REST * took)
            self._counting = None


async def told_unsettled(request: web.Request) -> dict[str, Any] | None:
    """Give the last count as the overview has it; None while there is none."""
    found = await request.app[_UNSETTLED].known()
    return None if found is None else found.tally.as_dict()


def set_up(app: web.Application) -> None:
    """Have no count yet; the last one ends with the application."""

    async def counting(_: web.Application) -> AsyncIterator[None]:
        yield
        await app[_UNSETTLED].close()

    here = app[SOURCES]
    app[_UNSETTLED] = Unsettled(
        lambda last: talk(here.connection, count_again(here.connection, here.service, last), READ_SECONDS)
    )
    app.cleanup_ctx.append(counting)


_UNSETTLED = web.AppKey("unsettled", Unsettled)
