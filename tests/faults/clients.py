"""Clients at any worker, most with a key, who repeat a request until they know its outcome."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from typing import Any, NamedTuple

from tests.faults.plan import WORKERS
from tests.faults.posting import Poster
from tests.faults.told import TOLD

WITHOUT_A_KEY = 0.3
"""How many requests have no key, and so are sent once."""

FINISH_SECONDS = 40.0
"""Time for the clients to learn what their requests came to, after all faults: a session, a broker's start."""


class Request(NamedTuple):
    """What a client wants: the path, the number of the request, and its body."""

    path: str
    serial: int
    body: dict[str, Any]


class Clients:
    """Send requests. Those whose outcome is not known yet are `open`, by their keys."""

    def __init__(self, poster: Poster, chance: random.Random) -> None:
        self.open: dict[str, Request] = {}
        self._poster = poster
        self._chance = chance

    async def ask(self, request: Request) -> None:
        """Send a request: once without a key, or with one, perhaps to two workers at the same time."""
        if self._chance.random() < WITHOUT_A_KEY:
            await self._poster.post(self._chance.choice(WORKERS), *request)
            return
        once = f"request {request.serial} {uuid.UUID(int=self._chance.getrandbits(128))}"
        self.open[once] = request
        await asyncio.gather(*(self._send(once) for _ in range(self._chance.choice((1, 1, 1, 2)))))

    async def again(self, most: int) -> None:
        """Repeat the oldest requests whose outcome is not known."""
        await asyncio.gather(*(self._send(once) for once in list(self.open)[:most]))

    async def finish(self) -> None:
        """Repeat what has no answer yet: at the end, each client knows."""
        deadline = time.monotonic() + FINISH_SECONDS
        while self.open and time.monotonic() < deadline:
            await self.again(50)
            await asyncio.sleep(0.1)

    async def _send(self, once: str) -> None:
        answer = await self._poster.post(self._chance.choice(WORKERS), *self.open[once], once)
        if answer.status in TOLD:
            self.open.pop(once, None)
