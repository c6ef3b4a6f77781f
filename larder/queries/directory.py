"""Who else is in the service, and what each has: as the broker told it last, asked again when that may be over.

Whoever asks waits for the broker for a bounded time, and is given what was known before when it does not answer. Knows
neither Kafka nor HTTP.
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
"""How long an answer of the broker counts, unless a worker's own answer contradicts it."""

PATIENCE_SECONDS = 0.5
"""How long a read waits for the broker at most: it is asked within milliseconds, or it is away."""

GIVEN_UP_SECONDS = 10.0
"""After so long a question is asked anew: the connection that it went through may be gone."""


class Directory:
    """`ask` gives who is there, or None while nobody can tell."""

    def __init__(
        self, ask: Callable[[], Awaitable[Sequence[Peer] | None]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin knowing nobody; `clock` in seconds, from anywhere."""
        self.known: Sequence[Peer] = ()
        self._ask = ask
        self._clock = clock
        self._asked_at = float("-inf")
        self._asking: asyncio.Task[None] | None = None

    async def peers(self, *, anew: bool = False) -> Sequence[Peer]:
        """Give who is there; `anew`: not from before this call, since an answer has contradicted what was known."""
        now = self._clock()
        if self._asking is None and (anew or now - self._asked_at >= FRESH_SECONDS):
            self._asked_at = now
            self._asking = asyncio.create_task(self._learn())
            self._asking.add_done_callback(self._learnt)
        if self._asking is not None and (left := self._asked_at + PATIENCE_SECONDS - now) > 0:
            await asyncio.wait({self._asking}, timeout=left)
        return self.known

    async def close(self) -> None:
        """End the question under way, if there is one."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait({self._asking})

    async def _learn(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GIVEN_UP_SECONDS):
                found = await self._ask()
                if found is not None:
                    self.known = found

    def _learnt(self, asking: asyncio.Task[None]) -> None:
        self._asking = None
        if not asking.cancelled() and (error := asking.exception()) is not None:
            log.debug("who is in the group could not be asked: %r", error)
