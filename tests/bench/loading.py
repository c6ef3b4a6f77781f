"""Loads the data into topics as fast as a Python client can, in whole batches.

Each record is in the partition that Java's default partitioner would choose, with a past timestamp that increases with
its number. Does not know the readers.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from larder.kafka.partitioner import partitions_of
from tests.bench import shop

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTITIONS = 4
# Rows built at a time: enough for numpy to hash whole columns, but few enough for the processor's cache.
CHUNK = 10_000
# The broker refuses a batch of more than 1 MB.
BATCH_BYTES = 900_000
# Customers are older than all orders, so that systems that go by timestamps read them first.
AGE_OF_ROWS_MS = 3_600_000
AGE_OF_ORDERS_MS = 1_800_000


class Records(NamedTuple):
    """A range of records. `timestamp` is that of the first in ms; each next one is 0 or 1 ms later."""

    keys: list[bytes]
    values: list[bytes]
    timestamp: int


async def create_topics(brokers: str, names: list[str], *, compacted: bool = False) -> None:
    """Create topics. Raise aiokafka's errors."""
    configuration = {"cleanup.policy": "compact" if compacted else "delete"}
    admin = AIOKafkaAdminClient(bootstrap_servers=brokers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, PARTITIONS, 1, topic_configs=configuration) for name in names])
    finally:
        await admin.close()


async def delete_topics(brokers: str, part: str) -> None:
    """Delete all topics with `part` in their names, including those that contestants created."""
    admin = AIOKafkaAdminClient(bootstrap_servers=brokers)
    await admin.start()
    try:
        ours = [name for name in await admin.list_topics() if part in name]
        if ours:
            await admin.delete_topics(ours)
    finally:
        await admin.close()


async def load_customers(brokers: str, topic: str, count: int) -> None:
    """Fill `topic` with the customers 0 to `count`, in revision 1."""
    start = int(time.time() * 1000) - AGE_OF_ROWS_MS
    await _load(brokers, topic, _customers(count, start))


async def load_orders(brokers: str, topic: str, count: int, customers: int, *, by_customer: bool) -> None:
    """Fill `topic` with the orders 0 to `count`; their key is the order's id, or the customer's."""
    start = int(time.time() * 1000) - AGE_OF_ORDERS_MS
    await _load(brokers, topic, _orders(count, customers, start, by_customer=by_customer))


def _customers(count: int, start: int) -> Iterator[Records]:
    for first in range(0, count, CHUNK):
        numbers = range(first, min(first + CHUNK, count))
        yield Records(list(map(shop.customer_key, numbers)), list(map(shop.customer, numbers)), start + first // CHUNK)


def _orders(count: int, customers: int, start: int, *, by_customer: bool) -> Iterator[Records]:
    for first in range(0, count, CHUNK):
        numbers = range(first, min(first + CHUNK, count))
        whose = shop.customers_of(numbers, customers)
        keys = map(shop.customer_key, whose) if by_customer else map(shop.order_key, numbers)
        yield Records(list(keys), list(map(shop.order, numbers, whose)), start + first // CHUNK)


async def _load(brokers: str, topic: str, chunks: Iterator[Records]) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=brokers,
        acks="all",
        max_batch_size=BATCH_BYTES,
        max_request_size=2 * BATCH_BYTES,
    )
    await producer.start()
    try:
        async with asyncio.TaskGroup() as sends:
            await _send(producer, topic, chunks, sends)
    finally:
        await producer.stop()


async def _send(producer: AIOKafkaProducer, topic: str, chunks: Iterator[Records], sends: asyncio.TaskGroup) -> None:
    builders = [producer.create_batch() for _ in range(PARTITIONS)]
    for keys, values, timestamp in chunks:
        for key, value, partition in zip(keys, values, partitions_of(keys, PARTITIONS), strict=True):
            if builders[partition].append(timestamp=timestamp, key=key, value=value) is None:
                sent = await producer.send_batch(builders[partition], topic, partition=partition)
                sends.create_task(_acknowledged(sent))
                builders[partition] = producer.create_batch()
                builders[partition].append(timestamp=timestamp, key=key, value=value)
    for partition, builder in enumerate(builders):
        if builder.record_count():
            sends.create_task(_acknowledged(await producer.send_batch(builder, topic, partition=partition)))


async def _acknowledged(sent: asyncio.Future[object]) -> None:
    await sent
