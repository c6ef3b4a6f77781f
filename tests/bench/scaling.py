"""Growth: `larder scale` doubles the number of partitions of a service with a join and a decide.

Three measurements: how long results pause under a steady load, how fast a worker copies the state of a decide, and how
fast it joins afterwards, when orders and rows pass through internal topics. Only committed records count.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import aiohttp
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from larder.config.connection import Connection
from larder.declaring.facts import growth_name
from larder.declaring.growth import Growth, GrowthPhase, read_record
from larder.kafka.readers import reader, whole
from tests.bench import larder, loading
from tests.bench.checking import Expected, wrong_result
from tests.bench.failover import STEP_SECONDS, WORKERS, Trickle, shared, until
from tests.bench.process import Process
from tests.bench.watching import Steady, watch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.bench.bench import Bench
    from tests.bench.failover import Result
    from tests.bench.job import Job
    from tests.bench.report import Report

SMALL = 5_000
"""Rows of the table, and orders before, where there is little to copy."""
SCALE_SECONDS = 600.0


async def measure(bench: Bench, report: Report) -> None:
    """Scale a service three times, each time a new one."""
    for name, part in (("pause", _pause), ("rows", _rows), ("join", _join)):
        with report.trying(f"growth.{name}"):
            await part(bench, report)


async def _pause(bench: Bench, report: Report) -> None:
    """Report the longest time without results, of all partitions, from the last one before the switch on."""
    job = await _job(bench, "pause", SMALL)
    sources, into = (job.source, _payments(job)), (job.into, _decided(job))
    for source in sources:
        await loading.load_orders(bench.brokers, source, SMALL, SMALL, by_customer=True)
    async with contextlib.AsyncExitStack() as stack:
        processes = [
            stack.enter_context(Process(larder.command(bench, job, "growing", worker, "exactly_once")))
            for worker in WORKERS
        ]
        session = await stack.enter_async_context(aiohttp.ClientSession())
        webs = [
            larder.Web(session, await larder.web_port(job, "growing", process, worker))
            for process, worker in zip(processes, WORKERS, strict=True)
        ]
        await until(lambda: shared(webs, job.table, "plain"), processes, "the partitions to be shared and caught up")
        trickle = Trickle(bench.brokers, job, sources=sources, into=into, first=SMALL)
        await stack.enter_async_context(trickle)
        await until(lambda: trickle.is_whole(SMALL), processes, "results in every partition")
        began = await _scaled(bench, job)
        sent = trickle.sent
        await until(lambda: trickle.is_whole(sent + 1), processes, "new results in every partition")
        await until(lambda: len(_counts(trickle, sent)) == sent * len(into), processes, "a result of each order")
    doubled = [each for each, count in _counts(trickle, sent).items() if count > 1]
    if doubled:
        processes[0].fail(f"gave {len(doubled)} results twice, such as {doubled[0]}")
    pauses = _pauses(trickle.results, began)
    report.figures["growth.pause_s"] = max(pauses.values())
    for what, topic in (("join", job.into), ("decide", _decided(job))):
        report.figures[f"growth.pause_{what}_s"] = max(pauses[tp] for tp in pauses if tp.topic == topic)
    bench.say(f"growth: a pause of {report.figures['growth.pause_s']:.2f} s, no result lost or doubled")


def _counts(trickle: Trickle, sent: int) -> Counter[tuple[str, int]]:
    """Return how often there is a result of each of the first orders, by topic and order."""
    return Counter((each.tp.topic, each.order) for each in trickle.results if each.order < sent)


def _pauses(results: Sequence[Result], began: Mapping[GrowthPhase, float]) -> dict[TopicPartition, float]:
    """Return the seconds between the last result before the switch and the first one after it, by partition."""
    switched = _switched(began) - time.time() + time.perf_counter()
    times: defaultdict[TopicPartition, list[float]] = defaultdict(list)
    for each in results:
        times[each.tp].append(each.at)
    return {
        tp: min(at for at in ats if at > switched) - max(at for at in ats if at <= switched)
        for tp, ats in times.items()
    }


async def _rows(bench: Bench, report: Report) -> None:
    """Report the records per second that one worker copies."""
    count = bench.plan.copied
    job = await _job(bench, "copied", 1)
    await loading.load_orders(bench.brokers, _payments(job), count, count, by_customer=True)
    async with aiohttp.ClientSession() as session:
        with Process(larder.command(bench, job, "growing", guarantee="exactly_once")) as process:
            web = larder.Web(session, await larder.web_port(job, "growing", process))
            await watch(bench.brokers, _decided(job), process, count, math.inf)
            state = f"{job.name}.totals"

            async def decided() -> bool:
                return await web.read(state) >= count

            await until(decided, [process], "all rows")
            began = await _scaled(bench, job)
    report.figures["growth.copy_s"] = _switched(began) - began[GrowthPhase.COPYING]
    report.figures["growth.rows_per_s"] = count / report.figures["growth.copy_s"]
    bench.say(f"growth: {count:,} records copied, {report.figures['growth.rows_per_s']:,.0f}/s")


async def _join(bench: Bench, report: Report) -> None:
    """Report the rate of the join before and after, by one worker that finds all orders at its start."""
    job = await _job(bench, "join", bench.plan.customers)
    before = await _joined(bench, job, job.into)
    async with aiohttp.ClientSession() as session:
        with Process(larder.command(bench, job, "growing", guarantee="exactly_once")) as process:
            web = larder.Web(session, await larder.web_port(job, "growing", process))

            async def assigned() -> bool:
                return len(await web.partitions(job.table)) == loading.PARTITIONS

            await until(assigned, [process], "the partitions to be assigned")
            await _scaled(bench, job)
    passed = f"{job.name}.growing.{job.source}.by.customer_id.g2"
    after = await _joined(bench, job, passed)
    for when, run in (("before", before), ("after", after)):
        report.figures[f"growth.join_{when}_per_s"] = run.per_s
        report.figures[f"growth.join_{when}_per_cpu_s"] = run.per_cpu_s


async def _joined(bench: Bench, job: Job, through: str) -> Steady:
    """Load as many orders again, and return the rate at which a worker joins all of them.

    It counts from the first record in `through`: a worker passes orders on before it can join them.
    """
    brokers, customers, orders = bench.brokers, bench.plan.customers, bench.plan.orders // 2
    passed, results = await _count(brokers, through), await _count(brokers, job.into)
    await loading.load_orders(brokers, job.source, orders, customers, by_customer=True)
    with Process(larder.command(bench, job, "growing", guarantee="exactly_once")) as process:
        first, samples = await asyncio.gather(
            watch(brokers, through, process, 1, math.inf, passed),
            watch(brokers, job.into, process, orders, math.inf, results),
        )
    if wrong := await wrong_result(job, Expected(customers, by_customer=True), None):
        process.fail(wrong)
    begin, end = first[-1], samples[-1]
    seconds = end.at - begin.at
    run = Steady(end.records / seconds, end.records / (end.cpu - begin.cpu), seconds)
    bench.say(f"growth: {run.per_s:,.0f} orders joined per s, {run.per_cpu_s:,.0f} per CPU second")
    return run


async def _job(bench: Bench, name: str, rows: int) -> Job:
    """Create the topics of a service to scale, and its rows."""
    table = f"growth-{name}"
    job = bench.job("larder", table, rows, f"{table}-orders")
    job = job._replace(into=f"{job.name}.joined")
    await loading.create_topics(bench.brokers, [job.table], compacted=True)
    await loading.create_topics(bench.brokers, [job.source, _payments(job), job.into, _decided(job)])
    await loading.load_customers(bench.brokers, job.table, rows)
    return job


def _payments(job: Job) -> str:
    return f"{job.table}-payments"


def _decided(job: Job) -> str:
    return f"{job.name}.decided"


async def _scaled(bench: Bench, job: Job) -> Mapping[GrowthPhase, float]:
    """Double the number of partitions, and return when each phase began, in seconds since the epoch."""
    deadline = time.monotonic() + SCALE_SECONDS
    with Process(larder.scaling(bench, job, "growing", 2 * loading.PARTITIONS)) as asking:
        while asking.ended is None:
            if time.monotonic() > deadline:
                asking.fail(f"is not done after {SCALE_SECONDS:.0f} s")
            await asyncio.sleep(STEP_SECONDS)
    if asking.ended:
        asking.fail(f"ended with exit code {asking.ended}")
    async with reader(Connection(bench.brokers)) as consumer:
        written = await whole(consumer, TopicPartition(growth_name(f"{job.name}.growing"), 0))
    found = [read_record(each.value or b"") for each in written]
    return {each.phase: each.began for each in found if isinstance(each, Growth)}


def _switched(began: Mapping[GrowthPhase, float]) -> float:
    """Return when the new partitions began to count: with the phase after copying."""
    return began.get(GrowthPhase.FILLING, began[GrowthPhase.DONE])


async def _count(brokers: str, topic: str) -> int:
    consumer = AIOKafkaConsumer(bootstrap_servers=brokers, isolation_level="read_committed")
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, each) for each in range(loading.PARTITIONS)]
        return sum((await consumer.end_offsets(partitions)).values())
    finally:
        await consumer.stop()
