"""Transactions of the worker's own producer, one after the other, each with one record and one offset."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import OffsetAndMetadata, TopicPartition

from larder.kafka.transactions import Member, TransactionalProducer
from tests.bench import loading

if TYPE_CHECKING:
    from tests.bench.bench import Bench
    from tests.bench.report import Report

WARM = 100
COUNT = 1_000


async def measure(bench: Bench, report: Report) -> None:
    """Report their rate, and the 99th percentile of their durations."""
    with report.trying("transactions"):
        topic = bench.topic("transactions")
        await loading.create_topics(bench.brokers, [topic])
        taken = await _taken(bench.brokers, topic)
        report.figures["transactions.per_s"] = 1 / statistics.fmean(taken)
        report.figures["transactions.p99_ms"] = statistics.quantiles(taken, n=100)[98] * 1000
        bench.say(f"transactions: {report.figures['transactions.per_s']:.0f}/s")


async def _taken(brokers: str, topic: str) -> list[float]:
    """Return the seconds of each, from its begin to the answer to its commit."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=brokers, group_id=topic, enable_auto_commit=False)
    producer = TransactionalProducer(topic, 10_000, bootstrap_servers=brokers, acks="all")
    await consumer.start()
    await producer.start()
    try:
        await consumer.getmany(timeout_ms=10_000)
        coordinator = consumer._coordinator
        member = Member(topic, coordinator.generation, coordinator.member_id)
        taken = []
        for number in range(WARM + COUNT):
            since = time.perf_counter()
            await producer.begin(member)
            await (await producer.send(topic, b"%d" % number, partition=0))
            await producer.commit({TopicPartition(topic, 0): OffsetAndMetadata(number, "")})
            taken.append(time.perf_counter() - since)
        return taken[WARM:]
    finally:
        await producer.discard()
        await consumer.stop()
