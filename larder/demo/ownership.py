"""What the owners of customers, products and orders know when they start: their topics, and what they published before.

The demo stands in for them: it creates their topics as declared, and reads its own rows back. Knows Kafka's client.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

import larder.kafka  # noqa: F401 - forbids clients to create topics
from larder.config.connection import Connection
from larder.declaring.operators import Role
from larder.declaring.partition_counts import DEFAULT_PARTITIONS
from larder.declaring.topics import OwnerTopic
from larder.declaring.topology import TopicUse
from larder.demo.shop import is_customer_id
from larder.kafka.clients import new_consumer
from tables import shop

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiokafka import ConsumerRecord

    from larder.kafka.admin import Cluster

TOPICS = (shop.customers, shop.products, shop.orders)
# Seconds for reading back what was published: some thousand rows.
READ_BACK_SECONDS = 20.0


class Ownership(NamedTuple):
    """What the owner of customers and orders knows of what it published: revisions by customer, and the next order."""

    revisions: Mapping[str, int]
    next_order: int


async def created_topics(cluster: Cluster) -> dict[str, int]:
    """Create what is missing of the shop's topics; gives the number of partitions of each."""
    names = [topic.name for topic in TOPICS]
    facts = await cluster.facts(names)
    missing = [
        TopicUse(
            topic.name,
            (Role.OUTPUT,),
            owned=True,
            compacted=isinstance(topic, OwnerTopic),
            partitions=topic.partitions or DEFAULT_PARTITIONS,
        )
        for topic in TOPICS
        if topic.name not in facts
    ]
    if missing:
        await cluster.create(missing)
    return {
        topic.name: facts[topic.name].partitions if topic.name in facts else topic.partitions or DEFAULT_PARTITIONS
        for topic in TOPICS
    }


async def read_back(connection: Connection, partitions: Mapping[str, int]) -> Ownership:
    """Read what was published before; TimeoutError if the broker does not give it."""
    consumer = new_consumer(connection, isolation_level="read_uncommitted")
    await consumer.start()
    try:
        async with asyncio.timeout(READ_BACK_SECONDS):
            ends = await consumer.end_offsets(_all(shop.orders.name, partitions))
            return Ownership(await _revisions(consumer, partitions), sum(ends.values()) + 1)
    finally:
        await consumer.stop()


async def _revisions(consumer: AIOKafkaConsumer, partitions: Mapping[str, int]) -> dict[str, int]:
    wanted = _all(shop.customers.name, partitions)
    ends = await consumer.end_offsets(wanted)
    begins = await consumer.beginning_offsets(wanted)
    consumer.assign(wanted)
    for partition, begin in begins.items():
        consumer.seek(partition, begin)
    revisions: dict[str, int] = {}
    while any([await consumer.position(each) < ends[each] for each in wanted]):
        for records in (await consumer.getmany(timeout_ms=200)).values():
            for row in map(_customer, records):
                if row:
                    revisions[row.customer_id] = max(row.revision, revisions.get(row.customer_id, 0))
    return revisions


def _customer(record: ConsumerRecord) -> shop.Customer | None:
    """Give a customer of ours; None for what somebody else has put there, deletions included."""
    with contextlib.suppress(msgspec.MsgspecError):
        row = msgspec.json.decode(record.value or b"", type=shop.Customer)
        return row if is_customer_id(row.customer_id) else None
    return None


def _all(topic: str, partitions: Mapping[str, int]) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for number in range(partitions[topic])]
