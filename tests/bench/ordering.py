"""Orders through all services of the shipped application, exactly once: how long clients wait, and how many can be.

Clients place orders and wait until each is settled: checked by two services, paid outside, its pieces sold. First they
place them at a fixed rate, whether or not there are answers, then each as many as it can. All orders must be confirmed
and charged once.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from contextlib import ExitStack
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import aiohttp
from aiohttp import web

from tests.process.running import Running, running_process
from tests.support.topics import send

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.bench import Bench
    from tests.bench.report import Report

PRODUCTS: Final = {f"p{number}": "Lamp" for number in range(50)}
PIECES: Final = 100_000
CUSTOMERS: Final = 2_000

PER_S: Final = 50
"""Orders per second at the fixed rate."""

STEADY_SECONDS: Final = 15.0
WARM_SECONDS: Final = 5.0
MANY_SECONDS: Final = 10.0
CLIENTS: Final = 64
MORE: Final = ("two", "three")
"""The workers of orders besides the first."""

STEPS: Final = ("requested", "validated", "paid", "confirmed")


class Settled(NamedTuple):
    """An order that is confirmed, and how long its client waited, in seconds."""

    order: str
    took: float


class Clients:
    """Clients that place orders at all workers of orders in turn."""

    def __init__(self, session: aiohttp.ClientSession, ports: Sequence[int]) -> None:
        """Send orders to workers at these ports."""
        self._session = session
        self._ports = itertools.cycle(ports)
        self._numbers = itertools.count()
        self.settled: list[Settled] = []

    async def place(self, since: float) -> None:
        """Place an order that was due at `since`, and wait for its end. Raise ValueError unless it is confirmed."""
        number = next(self._numbers)
        body = {
            "order_id": f"o{number}",
            "customer_id": f"c{number % CUSTOMERS}",
            "product_id": f"p{number % len(PRODUCTS)}",
            "quantity": 1,
        }
        url = f"http://127.0.0.1:{next(self._ports)}/orders?until=settled&wait=10"
        async with self._session.post(url, json=body) as answer:
            found = await answer.json()
        if answer.status != web.HTTPCreated.status_code or found["row"]["state"] not in {"confirmed", "shipped"}:
            message = f"order {number} is not confirmed: {found}"
            raise ValueError(message)
        self.settled.append(Settled(body["order_id"], time.monotonic() - since))

    async def steadily(self, seconds: float) -> list[Settled]:
        """Place orders at the fixed rate, and return them once all are settled."""
        before, began = len(self.settled), time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for number in range(int(seconds * PER_S)):
                due = began + number / PER_S
                await asyncio.sleep(due - time.monotonic())
                tasks.create_task(self.place(due))
        return self.settled[before:]

    async def greedily(self, seconds: float) -> float:
        """Let each client place one order after the other, and return how many are settled per second."""
        before, began = len(self.settled), time.monotonic()

        async def client() -> None:
            while time.monotonic() < began + seconds:
                await self.place(time.monotonic())

        async with asyncio.TaskGroup() as tasks:
            for _ in range(CLIENTS):
                tasks.create_task(client())
        return (len(self.settled) - before) / (time.monotonic() - began)


async def measure(bench: Bench, report: Report) -> None:
    """Report the latency of orders at a fixed rate, and the rate of as many clients as are worth while."""
    with report.trying("orders"), ExitStack() as stack:
        # In a thread: it has event loops of its own.
        running = await asyncio.to_thread(_started, stack, bench)
        ports = [worker.web_port() for worker in running.of("orders")]
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            clients = Clients(session, ports)
            await clients.steadily(WARM_SECONDS)
            steady = await clients.steadily(STEADY_SECONDS)
            waited = [each.took * 1000 for each in steady]
            p50, p99 = statistics.median(waited), statistics.quantiles(waited, n=100)[-1]
            rate = await clients.greedily(MANY_SECONDS)
            report.figures |= {"orders.p50_ms": p50, "orders.p99_ms": p99, "orders.per_s": rate}
            steps = await _steps(session, running, [each.order for each in steady[-100:]])
        _require_charged_once(running, clients.settled)
        bench.say(
            f"orders: {PER_S}/s p50 {p50:.0f} ms, p99 {p99:.0f} ms"
            f" ({', '.join(f'{name} {value:.0f} ms' for name, value in steps.items())}); {CLIENTS} clients {rate:.0f}/s"
        )


def _started(stack: ExitStack, bench: Bench) -> Running:
    running = stack.enter_context(running_process(bench.directory / "orders", PRODUCTS))
    stack.enter_context(running.more("orders", MORE))
    ada = [(f"c{number}", _customer(number)) for number in range(CUSTOMERS)]
    asyncio.run(send(running.kafka, "shop.customers", ada))
    for product in PRODUCTS:
        running.deliver(product, PIECES)
    return running


def _customer(number: int) -> dict[str, Any]:
    return {"customer_id": f"c{number}", "name": "Ada", "country": "AT", "revision": 2}


async def _steps(session: aiohttp.ClientSession, running: Running, orders: Sequence[str]) -> dict[str, float]:
    """Return the median time until each step, since the step before, in ms: what the histories of orders say."""
    url = f"http://127.0.0.1:{running.workers['shipments'].web_port()}/tables/warehouse.histories/rows"
    async with session.get(url, params=[("key", order) for order in orders]) as answer:
        found = [each["row"]["steps"] for each in (await answer.json())["rows"] if each["row"]]
    times = [{step["state"]: datetime.fromisoformat(step["at"]) for step in steps} for steps in found]
    return {
        after: statistics.median((each[after] - each[before]).total_seconds() * 1000 for each in times)
        for before, after in itertools.pairwise(STEPS)
    }


def _require_charged_once(running: Running, settled: Sequence[Settled]) -> None:
    """Raise ValueError unless each order was asked to be charged exactly once."""
    asked = running.outside.ledger()["asked"]["charges"]
    wrong = {each.order: asked.get(each.order, 0) for each in settled if asked.get(each.order) != 1}
    if wrong:
        message = f"orders that were not charged exactly once: {wrong}"
        raise ValueError(message)
