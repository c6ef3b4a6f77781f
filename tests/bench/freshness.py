"""Freshness: the time from the publishing of a changed row until every worker answers with it, idle and under load.

Two workers run the join with the global table. They are asked over HTTP, as by any reader. The time includes the
publishing and the last answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from typing import TYPE_CHECKING

import aiohttp
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition

from larder.kafka.partitioner import partition_of
from tests.bench import larder, loading, shop
from tests.bench.process import ContestantError, Process

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.bench import Bench
    from tests.bench.job import Job
    from tests.bench.report import Report

WORKERS = ("1", "2")
# Between two changes. Those under load have to happen while there are orders left.
GAP_SECONDS = 0.01
# Between two requests for one row: a twentieth of the time waited so far, within these limits.
SHORTEST_STEP, LONGEST_STEP = 0.001, 0.02
CHANGE_SECONDS = 30.0
START_SECONDS = 60.0
REVISION = 2


async def measure(bench: Bench, report: Report) -> None:
    """Change rows while the workers are busy with the orders, and again when all are joined."""
    with report.trying("freshness"):
        job = bench.job("larder", "customers", bench.plan.customers, "orders")
        await loading.create_topics(bench.brokers, [job.into])
        async with contextlib.AsyncExitStack() as stack:
            processes = [
                stack.enter_context(Process(larder.command(bench, job, "global", worker))) for worker in WORKERS
            ]
            session = await stack.enter_async_context(aiohttp.ClientSession())
            webs = [
                larder.Web(session, await larder.web_port(job, "global", process, worker))
                for process, worker in zip(processes, WORKERS, strict=True)
            ]
            await _measure(bench, report, job, processes, webs)


async def _measure(
    bench: Bench, report: Report, job: Job, processes: Sequence[Process], webs: Sequence[larder.Web]
) -> None:
    results = AIOKafkaConsumer(bootstrap_servers=bench.brokers, isolation_level="read_committed")
    producer = AIOKafkaProducer(bootstrap_servers=bench.brokers, acks="all")
    await results.start()
    await producer.start()
    try:
        changes = bench.plan.changes
        await _joined(results, job, processes, 1)
        loaded = await _changed(producer, job, webs, range(changes))
        left = bench.plan.orders - await _count(results, job)
        if left <= 0:
            message = f"larder had joined all {bench.plan.orders} orders before {changes} rows were changed under load"
            raise ContestantError(message)
        report.figures["freshness.loaded_p99_ms"] = p99(loaded)
        report.figures["freshness.loaded_median_ms"] = statistics.median(loaded)
        bench.say(f"freshness under load: p99 {p99(loaded):.1f} ms, with {left:,} orders left")
        await _joined(results, job, processes, bench.plan.orders)
        idle = await _changed(producer, job, webs, range(changes, 2 * changes))
        report.figures["freshness.idle_p99_ms"] = p99(idle)
        report.figures["freshness.idle_median_ms"] = statistics.median(idle)
        bench.say(f"freshness idle: p99 {p99(idle):.1f} ms")
    finally:
        await producer.stop()
        await results.stop()


def p99(milliseconds: Sequence[float]) -> float:
    """Return the 99th percentile."""
    return statistics.quantiles(milliseconds, n=100)[-1]


async def _count(results: AIOKafkaConsumer, job: Job) -> int:
    partitions = [TopicPartition(job.into, each) for each in range(loading.PARTITIONS)]
    return sum((await results.end_offsets(partitions)).values())


async def _joined(results: AIOKafkaConsumer, job: Job, processes: Sequence[Process], wanted: int) -> None:
    """Wait until `wanted` orders are joined."""
    deadline = time.monotonic() + START_SECONDS
    count = 0
    while count < wanted:
        for process in processes:
            process.require_running()
        found = await _count(results, job)
        if found > count:
            count, deadline = found, time.monotonic() + START_SECONDS
        elif time.monotonic() > deadline:
            processes[0].fail(f"stalls at {count} of {wanted} orders")
        await asyncio.sleep(LONGEST_STEP)


async def _changed(producer: AIOKafkaProducer, job: Job, webs: Sequence[larder.Web], customers: range) -> list[float]:
    """Change rows without waiting for the previous change, and return the milliseconds of each."""
    waits = []
    try:
        async with asyncio.TaskGroup() as group:
            for customer in customers:
                waits.append(group.create_task(_change(producer, job.table, webs, customer)))
                await asyncio.sleep(GAP_SECONDS)
    except* ContestantError as errors:
        raise ContestantError(str(errors.exceptions[0])) from errors
    return [wait.result() * 1000 for wait in waits]


async def _change(producer: AIOKafkaProducer, table: str, webs: Sequence[larder.Web], customer: int) -> float:
    key = shop.customer_key(customer)
    started = time.perf_counter()
    await producer.send(table, shop.customer(customer, REVISION), key, partition=partition_of(key, loading.PARTITIONS))
    seen = await asyncio.gather(*(_seen(web, table, key.decode(), started) for web in webs))
    return max(seen) - started


async def _seen(web: larder.Web, table: str, key: str, started: float) -> float:
    while True:
        found = await web.revision(table, key)
        now = time.perf_counter()
        if found == REVISION:
            return now
        if now - started > CHANGE_SECONDS:
            message = f"larder still answers revision {found} of {key} after {CHANGE_SECONDS:.0f} s"
            raise ContestantError(message)
        await asyncio.sleep(min(max((now - started) / 20, SHORTEST_STEP), LONGEST_STEP))
