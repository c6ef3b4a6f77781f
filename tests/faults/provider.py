"""The provider of the charges: a server in the suite's process, which records each request before it answers.

Its answers depend on the seed, the key and the attempt only: mostly well, sometimes that it is unavailable, sometimes
so late that the caller has gone. Some keys it refuses for good.

It keeps the money of orders: once for each key, until the key is voided, and none from then on. Some outages come after
it has acted, so that only its answer is lost.
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
from tests.faults.history import Charge, Money

TIMEOUT_SECONDS = 1.0
"""How long an attempt may take."""

LATE_SECONDS = 1.5 * TIMEOUT_SECONDS

CHARGED, REFUSED, GONE, UNAVAILABLE = 200, 422, 410, 503

REFUSALS, OUTAGES, DELAYS = 0.03, 0.08, 0.03
"""How many keys are refused; how many other requests are answered 503, and how many too late."""

TAKES_SECONDS = 0.3
"""How long it takes to charge an order: time enough to cancel it meanwhile, or to kill the worker that waits."""

ACTS = 0.5
"""How many outages come after the provider has acted on an order."""


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


def acts(seed: int, key: str, attempt: int) -> bool:
    """Return whether it has acted on an attempt that it answers with an outage."""
    return random.Random(f"{seed} {key} {attempt} acts").random() < ACTS  # noqa: S311 - as above


class Till:
    """The money that is kept, by key, and the keys that were voided."""

    def __init__(self) -> None:
        self.kept: dict[str, int] = {}
        self.void: set[str] = set()

    def charge(self, key: str, amount: int) -> int:
        """Keep the money of a key that is not charged yet; return how much was added."""
        took = 0 if key in self.kept else amount
        self.kept.setdefault(key, amount)
        return took

    def give_back(self, key: str) -> int:
        """Keep no money for a key from now on; return how much was added, which is negative."""
        self.void.add(key)
        return -self.kept.pop(key, 0)


class Provider:
    """Takes charges at `address`, and keeps them in `charges`; what it is asked for orders, it keeps in `money`."""

    def __init__(self, seed: int, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self.charges: list[Charge] = []
        self.money: list[Money] = []
        self._till = Till()
        self._seed = seed

    async def charge(self, request: web.Request) -> web.Response:
        """Record a request, and answer it."""
        key, attempt = request.headers["Idempotency-Key"], int(request.headers["Attempt"])
        status, after = reply(self._seed, key, attempt)
        sent = float(request.headers["Sent-At"])
        self.charges.append(Charge(key, attempt, sent, time.time() + after, status))
        await asyncio.sleep(after)
        return web.Response(status=status)

    async def take(self, request: web.Request) -> web.Response:
        """Charge an order, unless it is refused or voided."""
        key, attempt, named = _asked(request, "order")
        status, after = reply(self._seed, named, attempt)
        if key in self._till.void:
            status = GONE
        took = 0
        if status == CHARGED or (status == UNAVAILABLE and acts(self._seed, named, attempt)):
            took = self._till.charge(key, int(request.headers["Amount"]))
        money = Money(key, void=False, attempt=attempt, took=took, sent=0.0, answered=0.0, status=status)
        return await self._answer(request, money, after or TAKES_SECONDS)

    async def void(self, request: web.Request) -> web.Response:
        """Void the charge of an order, also one that is yet to come; nothing is refused."""
        key, attempt, named = _asked(request, "void")
        status, after = reply(self._seed, named, attempt)
        status = UNAVAILABLE if status == UNAVAILABLE else CHARGED
        took = 0
        if status == CHARGED or acts(self._seed, named, attempt):
            took = self._till.give_back(key)
        money = Money(key, void=True, attempt=attempt, took=took, sent=0.0, answered=0.0, status=status)
        return await self._answer(request, money, after)

    async def _answer(self, request: web.Request, money: Money, after: float) -> web.Response:
        """Record a request with its times, and answer it after some seconds."""
        sent = float(request.headers["Sent-At"])
        self.money.append(money._replace(sent=sent, answered=time.time() + after))
        await asyncio.sleep(after)
        return web.Response(status=money.status)


def _asked(request: web.Request, what: str) -> tuple[str, int, str]:
    """Return the key and the number of an attempt, and the name by which its answer is drawn."""
    key = request.headers["Idempotency-Key"]
    return key, int(request.headers["Attempt"]), f"{what} {key}"


@asynccontextmanager
async def providing(seed: int) -> AsyncIterator[Provider]:
    """Run the provider during the block."""
    port = free_port()
    provider, app = Provider(seed, port), web.Application()
    app.router.add_post("/charges", provider.charge)
    app.router.add_post("/orders/charges", provider.take)
    app.router.add_post("/orders/voids", provider.void)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=LATE_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield provider
    finally:
        await runner.cleanup()
