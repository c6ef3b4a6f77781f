"""The provider of the charges: a server in the suite's process, which records each request before it answers.

Its answers depend on the seed, the key and the attempt only: mostly well, sometimes that it is unavailable, sometimes
so late that the caller has gone. Some keys it refuses for good.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from aiohttp import web

from larder.local_broker.ports import free_port
from tests.faults.history import Charge

TIMEOUT_SECONDS = 1.0
"""How long an attempt may take."""

LATE_SECONDS = 1.5 * TIMEOUT_SECONDS

CHARGED, REFUSED, UNAVAILABLE = 200, 422, 503

REFUSALS, OUTAGES, DELAYS = 0.03, 0.08, 0.03
"""How many keys are refused; how many other requests are answered 503, and how many too late."""


class Reply(NamedTuple):
    """The status of an answer, and the seconds until it comes."""

    status: int
    after: float = 0.0


def reply(seed: int, key: str, attempt: int) -> Reply:
    """Return the answer to an attempt."""
    if random.Random(f"{seed} {key}").random() < REFUSALS:  # noqa: S311 - nothing is secret here
        return Reply(REFUSED)
    drawn = random.Random(f"{seed} {key} {attempt}").random()  # noqa: S311 - as above
    if drawn < OUTAGES:
        return Reply(UNAVAILABLE)
    return Reply(CHARGED, LATE_SECONDS if drawn < OUTAGES + DELAYS else 0.0)


class Provider:
    """Takes charges at `address`, and keeps them in `charges`."""

    def __init__(self, seed: int, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self.charges: list[Charge] = []
        self._seed = seed

    async def charge(self, request: web.Request) -> web.Response:
        """Record a request, and answer it."""
        key, attempt = request.headers["Idempotency-Key"], int(request.headers["Attempt"])
        status, after = reply(self._seed, key, attempt)
        sent = float(request.headers["Sent-At"])
        self.charges.append(Charge(key, attempt, sent, time.time() + after, status))
        await asyncio.sleep(after)
        return web.Response(status=status)


@asynccontextmanager
async def providing(seed: int) -> AsyncIterator[Provider]:
    """Run the provider during the block."""
    port = free_port()
    provider, app = Provider(seed, port), web.Application()
    app.router.add_post("/charges", provider.charge)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=LATE_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield provider
    finally:
        await runner.cleanup()
