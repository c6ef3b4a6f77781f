"""Failover: the time from the kill of a worker until all partitions are processed again, with and without a standby.

Two workers join a trickle of orders with a co-partitioned table, and orders wait for missing customers. Only committed
records count. At the end the customers are published, and every waiting order has to be joined.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

import aiohttp
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition

from larder.kafka.partitioner import partition_of
from tests.bench import larder, loading, shop
from tests.bench.process import ContestantError, Process

if TYPE_CHECKING:
    from tests.bench.bench import Bench
    from tests.bench.job import Job
    from tests.bench.report import Report

Kind = Literal["standby", "plain"]

WORKERS = ("1", "2")
SESSION_SECONDS = 1.5
"""As in the demo; the local broker allows it. It is most of the time of a failover without a standby."""
WAITING = 400
GAP_SECONDS = 0.02
STEP_SECONDS = 0.01
PATIENCE_SECONDS = 60.0


async def measure(bench: Bench, report: Report) -> None:
    """Kill one of two workers, once with a standby and once without."""
    for kind in ("standby", "plain"):
        with report.trying(f"failover.{kind}"):
            await _measure(bench, report, kind)


async def _measure(bench: Bench, report: Report, kind: Kind) -> None:
    rows = bench.plan.restored // 4
    table = f"failover-{kind}"
    job = bench.job("larder", table, rows, f"{table}-orders")
    await loading.create_topics(bench.brokers, [job.table], compacted=True)
    await loading.create_topics(bench.brokers, [job.source, job.into])
    await loading.load_customers(bench.brokers, job.table, rows)
    settings = {
        "LARDER_STANDBY": "1" if kind == "standby" else "0",
        "LARDER_SESSION_TIMEOUT_S": str(SESSION_SECONDS),
        "BENCH_ORDERS": f"{table}-orders",
    }
    async with contextlib.AsyncExitStack() as stack:
        processes = []
        for worker in WORKERS:
            command = larder.command(bench, job, "failover", worker, "exactly_once")
            command = command._replace(environment={**command.environment, **settings})
            processes.append(stack.enter_context(Process(command)))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        webs = [
            larder.Web(session, await larder.web_port(job, "failover", process, worker))
            for process, worker in zip(processes, WORKERS, strict=True)
        ]
        trickle = await stack.enter_async_context(Trickle(bench.brokers, job))
        await until(lambda: shared(webs, job.table, kind), processes, "the partitions to be shared and caught up")
        taken, read = await _failed_over(trickle, processes, webs[0], job)
    report.figures[f"failover.{kind}_s"] = taken
    report.figures[f"failover.{kind}_rows_read"] = read
    bench.say(f"failover, {kind}: {taken:.2f} s, {read:,} of {rows:,} rows read, {WAITING} waiting orders kept")


async def shared(webs: list[larder.Web], table: str, kind: Kind) -> bool:
    """Return whether two workers have half of a table's partitions each, and their rows."""
    half = loading.PARTITIONS // 2
    wanted = ["caught_up"] * half + ["standby"] * half * (kind == "standby")
    return all([sorted(each["phase"] for each in await web.partitions(table)) == wanted for web in webs])


async def _failed_over(trickle: Trickle, processes: list[Process], left: larder.Web, job: Job) -> tuple[float, int]:
    """Return the seconds from the kill to the first new result of the last partition, and the rows read meanwhile."""
    await trickle.wait(WAITING)
    await until(lambda: trickle.is_whole(0), processes, "results in every partition")
    before = await left.read(job.table)
    killed, number = time.perf_counter(), trickle.sent + 1  # one may be in flight
    processes[1].kill()
    await until(lambda: trickle.is_whole(number), processes[:1], "new results in every partition")
    taken = max(trickle.first(number).values()) - killed
    read = await left.read(job.table) - before
    await trickle.release()
    await until(lambda: trickle.released >= WAITING, processes[:1], "the results of waiting orders")
    if trickle.released > WAITING:
        processes[0].fail(f"published {trickle.released} results of {WAITING} orders that waited")
    return taken, read


async def until(look: Callable[[], bool | Awaitable[bool]], processes: list[Process], what: str) -> None:
    """Wait until `look` returns true; raise `ContestantError` if that takes too long."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (await seen if isinstance(seen := look(), Awaitable) else seen):
        for process in processes:
            process.require_running()
        if time.monotonic() > deadline:
            processes[0].fail(f"was waited for {PATIENCE_SECONDS:.0f} s in vain, for {what}")
        await asyncio.sleep(STEP_SECONDS)


class Result(NamedTuple):
    """The result of an order, and when it was read, in seconds of the performance counter."""

    tp: TopicPartition
    order: int
    at: float


class Trickle:
    """A sequence of orders of known customers, some orders of customers that come later, and all results."""

    def __init__(
        self, brokers: str, job: Job, *, sources: Sequence[str] = (), into: Sequence[str] = (), first: int = 0
    ) -> None:
        """Send to the job's topics, or to others, the orders from the number `first` on."""
        self.sent = first
        self.released = 0
        self.results: list[Result] = []
        self._job = job
        self._sources = sources or (job.source,)
        self._into = into or (job.into,)
        self._producer = AIOKafkaProducer(bootstrap_servers=brokers, acks="all")
        self._consumer = AIOKafkaConsumer(bootstrap_servers=brokers, isolation_level="read_committed")
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self._producer.start()
        await self._consumer.start()
        tps = [TopicPartition(topic, number) for topic in self._into for number in range(loading.PARTITIONS)]
        self._consumer.assign(tps)
        for tp in tps:
            self._consumer.seek(tp, 0)
        self._tasks = [asyncio.create_task(self._send()), asyncio.create_task(self._read())]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._consumer.stop()
        await self._producer.stop()

    def first(self, number: int) -> dict[TopicPartition, float]:
        """Return the time of the first result of this or a later order, by partition."""
        found: dict[TopicPartition, float] = {}
        for each in self.results:
            if each.order >= number:
                found.setdefault(each.tp, each.at)
        return found

    def is_whole(self, number: int) -> bool:
        """Return whether each partition has a result of this or a later order. Raise what ended the trickle."""
        for task in self._tasks:
            if task.done():
                task.result()
        return len(self.first(number)) == loading.PARTITIONS * len(self._into)

    async def wait(self, count: int) -> None:
        """Send `count` orders of customers that do not exist yet."""
        for each in range(count):
            await self._order(_LATE + each, self._job.rows + each)

    async def release(self) -> None:
        """Publish the customers whose orders wait."""
        for each in range(WAITING):
            number = self._job.rows + each
            await self._publish(self._job.table, number, shop.customer(number))

    async def _send(self) -> None:
        for customer in itertools.cycle(range(self._job.rows)):
            await self._order(self.sent, customer)
            self.sent += 1
            await asyncio.sleep(GAP_SECONDS / loading.PARTITIONS)

    async def _order(self, number: int, customer: int) -> None:
        for topic in self._sources:
            await self._publish(topic, customer, shop.order(number, customer))

    async def _publish(self, topic: str, customer: int, value: bytes) -> None:
        key = shop.customer_key(customer)
        await self._producer.send_and_wait(topic, value, key, partition=partition_of(key, loading.PARTITIONS))

    async def _read(self) -> None:
        async for record in self._consumer:
            if record.value is None:
                message = "larder published a result without a value"
                raise ContestantError(message)
            number = int(json.loads(record.value)["order_id"][1:])
            if number >= _LATE:
                self.released += 1
            else:
                tp = TopicPartition(record.topic, record.partition)
                self.results.append(Result(tp, number, time.perf_counter()))


_LATE = 1_000_000_000
"""The first number of the waiting orders."""
