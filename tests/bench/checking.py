"""Checks a sample of a contestant's results, each one alone, by the functions that made the data.

It does not know the contestant, so that all are judged alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from larder.kafka.partitioner import partition_of
from tests.bench import shop
from tests.bench.loading import PARTITIONS

if TYPE_CHECKING:
    from tests.bench.job import Job

# In each partition. Each sample reads one record batch.
PLACES = 5
RECORDS = 100
READ_SECONDS = 10.0

_decode = msgspec.json.decode


class Expected(NamedTuple):
    """The expected results of a job."""

    customers: int
    by_customer: bool


async def wrong_result(job: Job, expected: Expected, total: int | None) -> str:
    """Return what is wrong with the results, or "". If `total` is None, they need not be complete."""
    reading = AIOKafkaConsumer(bootstrap_servers=job.brokers, isolation_level="read_committed")
    await reading.start()
    try:
        partitions = [TopicPartition(job.into, each) for each in range(PARTITIONS)]
        reading.assign(partitions)
        ends: dict[TopicPartition, int] = await reading.end_offsets(partitions)
        found = sum(ends.values())
        if total is not None and found != total:
            return f"gave {found} results for {total} orders"
        for partition, end in ends.items():
            for place in range(PLACES):
                wrong = await _wrong_at(reading, partition, end * place // PLACES, end, expected)
                if wrong:
                    return wrong
        return ""
    finally:
        await reading.stop()


async def _wrong_at(
    reading: AIOKafkaConsumer, partition: TopicPartition, offset: int, end: int, expected: Expected
) -> str:
    if offset >= end:
        return ""
    reading.seek(partition, offset)
    taken = await reading.getmany(partition, timeout_ms=int(READ_SECONDS * 1000), max_records=RECORDS)
    records = taken.get(partition, [])
    if not records:
        return f"has no readable record at {partition.topic}/{partition.partition}/{offset}"
    numbers = [int(_decode(record.value)["order_id"][1:]) for record in records]
    whose = shop.customers_of(numbers, expected.customers)
    for record, number, customer in zip(records, numbers, whose, strict=True):
        wanted_key = shop.customer_key(customer) if expected.by_customer else shop.order_key(number)
        place = partition_of(wanted_key, PARTITIONS)
        if record.key != wanted_key or record.partition != place:
            return f"has key {record.key!r} in partition {record.partition}, not {wanted_key!r} in {place}"
        if _decode(record.value) != joined(number, customer):
            return f"has {record.value!r} for order {number} of customer {customer}"
    return ""


def joined(number: int, customer: int) -> dict[str, Any]:
    """Return the expected result of an order."""
    order: dict[str, Any] = _decode(shop.order(number, customer))
    return {**order, "customer": _decode(shop.customer(customer))}
