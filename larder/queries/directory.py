"""The workers of the service and what each of them has, as the broker last reported it.

The broker is asked again when its answer may be outdated. A caller waits for it for a bounded time, and gets the
previous answer if there is no new one. Knows neither Kafka nor HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from larder.group.peers import Peer

log = logging.getLogger("larder")

FRESH_SECONDS = 1.0
"""How long an answer of the broker is valid, unless a worker's answer contradicts it."""

PATIENCE_SECONDS = 0.5
"""How long a read waits for the broker at most: it answers within milliseconds, or it is unreachable."""

GIVEN_UP_SECONDS = 10.0
"""After this long a request is given up and repeated: its connection may be dead."""


class Directory:
    """`ask` returns the workers, or None while they are unknown."""

    def __init__(
        self, ask: Callable[[], Awaitable[Sequence[Peer] | None]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Create a directory without workers; `clock` is in seconds, from any origin."""
        self.known: Sequence[Peer] = ()
        self._ask = ask
        self._clock = clock
        self._asked_at = float("-inf")
        self._asking: asyncio.Task[None] | None = None

    async def peers(self, *, refresh: bool = False) -> Sequence[Peer]:
        """Return the workers; `refresh`: ask the broker now, since a worker's answer contradicts the known ones."""
        now = self._clock()
        if self._asking is None and (refresh or now - self._asked_at >= FRESH_SECONDS):
            self._asked_at = now
            self._asking = asyncio.create_task(self._learn())
            self._asking.add_done_callback(self._finish)
        if self._asking is not None and (left := self._asked_at + PATIENCE_SECONDS - now) > 0:
            await asyncio.wait({self._asking}, timeout=left)
        return self.known

    async def close(self) -> None:
        """Cancel the request to the broker, if there is one."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait({self._asking})

    async def _learn(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GIVEN_UP_SECONDS):
                found = await self._ask()
                if found is not None:
                    self.known = found

    def _finish(self, asking: asyncio.Task[None]) -> None:
        self._asking = None
        if not asking.cancelled() and (error := asking.exception()) is not None:
            log.debug("asking for the members of the group failed: %r", error)
