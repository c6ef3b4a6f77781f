"""A transform with one state store and its changelog, exactly once, by Larder and by Kafka Streams.

Each order adds to its customer's total: the row stores the total, and an event publishes it.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from tests.bench import larder, loading, shop
from tests.bench.checking import READ_SECONDS
from tests.bench.process import Process
from tests.bench.watching import Steady, steady, watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bench.bench import Bench
    from tests.bench.job import Job
    from tests.bench.process import Command
    from tests.bench.report import Report

SOURCE = "orders-by-customer"
JUDGED = 50_000  # of one partition, from its beginning

CONTESTANTS: dict[str, Callable[[Bench, Job], Command]] = {
    "larder": lambda bench, job: larder.command(bench, job, "decide", guarantee="exactly_once"),
    "kafka_streams": lambda bench, job: bench.java.command(job, "decide", "exactly_once"),
}


async def measure(bench: Bench, report: Report) -> None:
    """Run both in turn, several times. The figures are medians."""
    runs: defaultdict[str, list[Steady]] = defaultdict(list)
    for number in itertools.takewhile(bench.begins, itertools.count()):
        for name in CONTESTANTS if number % 2 == 0 else reversed(CONTESTANTS):
            with report.trying(f"decide.{name}"):
                run = await _run(bench, name)
                runs[name].append(run)
                bench.say(f"decide.{name}: {run.per_s:,.0f}/s, {run.per_cpu_s:,.0f} per CPU second")
    for name, found in runs.items():
        report.figures[f"decide.{name}_per_s"] = statistics.median(run.per_s for run in found)
        report.figures[f"decide.{name}_per_cpu_s"] = statistics.median(run.per_cpu_s for run in found)


async def _run(bench: Bench, name: str) -> Steady:
    job = bench.job(f"decide-{name}", "customers", bench.plan.customers, SOURCE)
    job = job._replace(into=f"{job.name}.spent")
    await loading.create_topics(bench.brokers, [job.into])
    try:
        with Process(CONTESTANTS[name](bench, job)) as process:
            samples = await watch(bench.brokers, job.into, process, bench.plan.orders, bench.plan.seconds)
        if wrong := await _wrong_result(job, bench.plan.customers):
            process.fail(wrong)
        return steady(samples)
    finally:
        await bench.forget(job)


async def _wrong_result(job: Job, customers: int) -> str:
    """Return what is wrong with the first events of a partition, or "". Each event has the total up to it."""
    reading = AIOKafkaConsumer(bootstrap_servers=job.brokers, isolation_level="read_committed")
    await reading.start()
    try:
        partition = TopicPartition(job.into, 0)
        reading.assign([partition])
        reading.seek(partition, 0)
        end = min(JUDGED, (await reading.end_offsets([partition]))[partition])
        sums: defaultdict[str, tuple[int, float]] = defaultdict(lambda: (0, 0.0))
        # The last record before the end may be a marker.
        while await reading.position(partition) < end - 1:
            async with asyncio.timeout(READ_SECONDS):
                record = await reading.getone(partition)
            event = msgspec.json.decode(record.value)
            number = int(event["order_id"][1:])
            (customer,) = shop.customers_of([number], customers)
            order = msgspec.json.decode(shop.order(number, customer))
            count, spent = sums[order["customer_id"]]
            wanted = (order["customer_id"], count + 1, spent + order["amount"])
            if (event["customer_id"], event["orders"], event["spent"]) != wanted:
                return f"has {record.value!r} instead of {wanted}"
            sums[order["customer_id"]] = wanted[1:]
        return ""
    finally:
        await reading.stop()
