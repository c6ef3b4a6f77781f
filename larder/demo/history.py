"""Prepares the generator's topics: creates them as declared, and reads back what earlier demos published."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
from aiokafka.structs import TopicPartition

from larder.declaring.decoding import decoder
from larder.declaring.operators import Role
from larder.declaring.partition_counts import DEFAULT_PARTITIONS
from larder.declaring.topics import OwnerTopic
from larder.declaring.topology import TopicUse
from larder.demo.declared import History
from larder.kafka.readers import reader, records, spans

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from larder.config.connection import Connection
    from larder.declaring.rows import Row
    from larder.demo.declared import Demo, Topic
    from larder.kafka.admin import Cluster
    from larder.kafka.batch_consumer import BatchConsumer

# Seconds to read back what was published: a few thousand rows.
READ_BACK_SECONDS = 20.0


async def created_topics(cluster: Cluster, topics: Sequence[Topic]) -> dict[str, int]:
    """Create missing topics, and return the number of partitions of each topic."""
    facts = await cluster.facts([topic.name for topic in topics])
    counts = {topic.name: topic.partitions or DEFAULT_PARTITIONS for topic in topics}
    missing = [
        TopicUse(
            topic.name,
            (Role.OUTPUT,),
            owned=True,
            compacted=isinstance(topic, OwnerTopic),
            partitions=counts[topic.name],
        )
        for topic in topics
        if topic.name not in facts
    ]
    if missing:
        await cluster.create(missing)
    return counts | {name: known.partitions for name, known in facts.items()}


async def read_back(connection: Connection, demo: Demo, partitions: Mapping[str, int]) -> History:
    """Read what earlier demos published. Raise TimeoutError if the broker is too slow, or KafkaError."""
    async with asyncio.timeout(READ_BACK_SECONDS), reader(connection, "read_uncommitted") as consumer:
        events = await spans(consumer, _all(demo.events, partitions))
        rows = {topic: await _rows(consumer, topic, partitions) for topic in demo.rows}
        return History(rows, sum(each.end for each in events.values()))


async def _rows(consumer: BatchConsumer, topic: OwnerTopic, partitions: Mapping[str, int]) -> list[Row]:
    """Return the newest row of each key, even if it was deleted later."""
    decode = decoder(topic.row)
    rows: dict[bytes | None, Row] = {}
    for tp, span in (await spans(consumer, _all(topic, partitions))).items():
        async for batch in records(consumer, tp, span):
            for record in batch:
                try:
                    row = decode(record.value or b"")
                except (msgspec.MsgspecError, ValueError, RecursionError):
                    continue  # a tombstone, or a record of another producer
                if _revision(row, topic) >= _revision(rows.get(record.key), topic):
                    rows[record.key] = row
    return list(rows.values())


def _revision(row: Row | None, topic: OwnerTopic) -> int:
    """Return the revision of a row. Without revisions all are equal, and the later row is the newer one."""
    return getattr(row, topic.revision, 0) if topic.revision else 0


def _all(topic: Topic, partitions: Mapping[str, int]) -> list[TopicPartition]:
    return [TopicPartition(topic.name, number) for number in range(partitions[topic.name])]
