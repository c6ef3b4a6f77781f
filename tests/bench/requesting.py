"""Requests that change rows: one client alone, then many at once, at three workers, exactly once.

Each request adds an order to its customer's total. It may reach a worker that passes it on to another one. All answers
are checked together: the orders of a customer are counted without gaps.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import statistics
import time
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import aiohttp
import msgspec

from tests.bench import larder, shop
from tests.bench.process import Process

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tests.bench.bench import Bench
    from tests.bench.report import Report

WORKERS = ("1", "2", "3")
CUSTOMERS = 1_000
CLIENTS = 96
"""More do not raise the rate on two cores."""
START_SECONDS = 60.0
STEP_SECONDS = 0.1
WARM_SECONDS = 2.0
"""A client of its own: workers connect to each other, and the producers begin."""
ALONE_SECONDS = 6.0
MANY_SECONDS = 6.0


class Answered(NamedTuple):
    """An answered request: whose total it raised, to how many orders, and how long it took in seconds."""

    customer: str
    orders: int
    took: float


class Client:
    """A client that sends requests, one after the other, to each worker in turn."""

    def __init__(self, session: aiohttp.ClientSession, addresses: Sequence[str]) -> None:
        """Send them to the workers at these addresses."""
        self._session = session
        self._addresses = itertools.cycle(addresses)
        self.answered: list[Answered] = []

    async def send(self, numbers: Iterator[int], seconds: float) -> list[float]:
        """Send orders of these numbers for so many seconds, and return how long each took; in seconds."""
        before, end = len(self.answered), time.monotonic() + seconds
        while time.monotonic() < end:
            await self.send_one(next(numbers))
        return [each.took for each in self.answered[before:]]

    async def send_one(self, number: int) -> None:
        """Send the order of a number; raise aiohttp.ClientError if it is not taken."""
        customer = number % CUSTOMERS
        body, since = shop.order(number, customer), time.perf_counter()
        sent = self._session.post(f"{next(self._addresses)}/orders", data=body, raise_for_status=True)
        async with sent as answer:
            found = msgspec.json.decode(await answer.read())
        took = time.perf_counter() - since
        self.answered.append(Answered(found["key"], found["row"]["orders"], took))


async def measure(bench: Bench, report: Report) -> None:
    """Report the latency of a request alone, and the rate of many clients, over three workers."""
    with report.trying("requests"):
        job = bench.job("larder", "requests", CUSTOMERS)
        async with contextlib.AsyncExitStack() as stack:
            commands = [larder.command(bench, job, "requests", each, "exactly_once") for each in WORKERS]
            processes = [stack.enter_context(Process(each)) for each in commands]
            headers = {"Content-Type": "application/json"}
            connector = aiohttp.TCPConnector(limit=0)
            session = await stack.enter_async_context(aiohttp.ClientSession(headers=headers, connector=connector))
            named = zip(processes, WORKERS, strict=True)
            addresses = [await larder.web_port(job, "requests", process, each) for process, each in named]
            await _send(bench, report, [Client(session, addresses) for _ in range(CLIENTS)], processes)
        await bench.forget(job)


async def _send(bench: Bench, report: Report, clients: Sequence[Client], processes: Sequence[Process]) -> None:
    numbers = itertools.count()
    await _until_taken(clients[0], numbers, processes)
    await clients[0].send(numbers, WARM_SECONDS)
    alone = [each * 1000 for each in await clients[0].send(numbers, ALONE_SECONDS)]
    report.figures["requests.median_ms"] = statistics.median(alone)
    report.figures["requests.p99_ms"] = statistics.quantiles(alone, n=100)[-1]
    began = time.monotonic()
    many = list(itertools.chain(*await asyncio.gather(*(each.send(numbers, MANY_SECONDS) for each in clients))))
    report.figures["requests.per_s"] = len(many) / (time.monotonic() - began)
    report.figures["requests.many_p99_ms"] = statistics.quantiles(many, n=100)[-1] * 1000
    bench.say(
        f"requests: alone p99 {report.figures['requests.p99_ms']:.1f} ms,"
        f" median {report.figures['requests.median_ms']:.1f} ms; {CLIENTS} clients"
        f" {report.figures['requests.per_s']:,.0f}/s, p99 {report.figures['requests.many_p99_ms']:.0f} ms"
    )
    require_each_once(itertools.chain(*(each.answered for each in clients)))


async def _until_taken(client: Client, numbers: Iterator[int], processes: Sequence[Process]) -> None:
    """Wait until each partition has a worker that decides; the requests until then are not measured."""
    deadline = time.monotonic() + START_SECONDS
    taken = 0
    while taken < CUSTOMERS // 10:
        try:
            await client.send_one(next(numbers))
            taken += 1
        except aiohttp.ClientError:
            if time.monotonic() > deadline:
                processes[0].fail("takes no requests")
            await asyncio.sleep(STEP_SECONDS)


def require_each_once(answered: Iterable[Answered]) -> None:
    """Raise ValueError unless the orders of each customer were counted from 1 without gaps."""
    counted: defaultdict[str, list[int]] = defaultdict(list)
    for each in answered:
        counted[each.customer].append(each.orders)
    for customer, orders in counted.items():
        if sorted(orders) != list(range(1, len(orders) + 1)):
            message = f"the {len(orders)} answers about {customer} count {sorted(orders)}"
            raise ValueError(message)
