"""Follows topics into tables outside the consumer group: every partition of a global one.

A consumer of its own with all partitions assigned and sought explicitly to the stored positions. There is
no separate recovery: it reads from where the store stands until the end, and goes on. New partitions of a
followed topic are taken up while it runs.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Mapping

from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from larder.config.connection import Connection
from larder.kafka.batch_consumer import BATCH_RECORDS, POLL_SECONDS, Batch, BatchConsumer, fetch
from larder.kafka.clients import new_consumer
from larder.kafka.retrying import RETRY_SECONDS, is_passing
from larder.kafka.topic_metadata import Described, describe
from larder.local_tables.horizon import LogRange
from larder.local_tables.table import LocalTable

log = logging.getLogger("larder")

FETCH_BYTES = 4 * 1024 * 1024
"""Of one partition at once: with a quarter of it a restore waited for the broker a tenth of its time."""

SLICE_RECORDS = 1_000
"""Rows applied before control is given back: two milliseconds of work."""

TOPICS_SECONDS = 5.0
"""How often followed topics are looked at for new partitions, and for having been deleted and made anew."""


class Follower:
    """Reads the topics of `tables` (by topic name), which must exist: all of their partitions."""

    standby = False
    """Whether what it follows is processed elsewhere."""

    def __init__(self, connection: Connection, tables: Mapping[str, LocalTable]) -> None:
        self._connection = connection
        self._tables = tables
        self._interrupted = False
        self._looked_at = -TOPICS_SECONDS

    def follows(self, tp: TopicPartition) -> bool:  # noqa: ARG002
        """Whether records of a partition are still to be applied."""
        return True

    def wanted(
        self, topics: Mapping[str, Described], assigned: frozenset[TopicPartition]
    ) -> frozenset[TopicPartition]:  # fmt: skip
        """The partitions to follow from now on, of topics as they are now."""
        return assigned | {
            TopicPartition(name, partition) for name, topic in topics.items() for partition in range(topic.partitions)
        }

    def done(self) -> bool:
        """Whether there is nothing more to follow."""
        return False

    def told(self, topics: Mapping[str, Described]) -> Collection[str]:
        """Take what the broker says of the topics; answers those that were made anew, and are to be read again."""
        anew = {name for name, topic in topics.items() if topic.topic_id != self._tables[name].topic_id}
        for name, topic in topics.items():
            self._tables[name].set_topic(*topic)
        return anew

    def look_again(self) -> None:
        """What is to be followed may have changed."""
        self._looked_at = -TOPICS_SECONDS

    async def run(self) -> None:
        """Follow until cancelled or done; raises what ends it. A broker that is away is waited for."""
        while not self.done():
            consumer = new_consumer(self._connection, max_partition_fetch_bytes=FETCH_BYTES)
            try:
                await consumer.start()
                await self._follow(consumer)
            except (KafkaError, OSError) as error:
                if not is_passing(error):
                    raise
                if not self._interrupted:
                    log.info("following is interrupted (%r): it is tried again until the broker answers", error)
                self._interrupted = True
                await asyncio.sleep(RETRY_SECONDS)
            finally:
                await consumer.stop()

    async def _follow(self, consumer: BatchConsumer) -> None:
        assigned: frozenset[TopicPartition] = frozenset()
        self.look_again()
        while not self.done():
            if time.monotonic() - self._looked_at >= TOPICS_SECONDS:
                self._looked_at = time.monotonic()
                assigned = await self._assign(consumer, assigned)
                self._interrupted = False
            fetched = await fetch(consumer, assigned, POLL_SECONDS, BATCH_RECORDS)
            for batch in fetched.batches:
                await self._apply(batch)
            late = [
                tp
                for tp, seen in fetched.ends.items()
                if self.follows(tp) and self._tables[tp.topic].observe_end(tp.partition, seen)
            ]
            if late or fetched.out_of_range:
                await self._seek(consumer, {tp.topic for tp in [*late, *fetched.out_of_range]}, assigned)
            await asyncio.sleep(0)

    async def _assign(self, consumer: BatchConsumer, assigned: frozenset[TopicPartition]) -> frozenset[TopicPartition]:
        """Take up new partitions, and topics that were made anew; answers what is assigned now."""
        topics = await describe(consumer._client, self._tables)
        anew = self.told(topics)
        wanted = self.wanted(topics, assigned)
        if wanted != assigned:
            consumer.assign(set(wanted))
            await self._seek(consumer, self._tables, wanted)
        elif anew:
            await self._seek(consumer, anew, wanted)
        return wanted

    async def _seek(
        self, consumer: BatchConsumer, topics: Collection[str], assigned: Collection[TopicPartition]
    ) -> None:
        """Send all partitions of `topics` to where their tables say."""
        tps = [tp for tp in assigned if tp.topic in topics]
        begins, ends = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
        for topic in topics:
            table = self._tables[topic]
            mine = sorted(tp for tp in tps if tp.topic == topic and self.follows(tp))
            if not mine:
                continue
            table.open([tp.partition for tp in mine])
            positions = table.resume(
                {tp.partition: LogRange(begins[tp], ends[tp]) for tp in mine}, standby=self.standby
            )
            for tp in mine:
                consumer.seek(tp, positions[tp.partition])

    async def _apply(self, batch: Batch) -> None:
        """Apply a batch in slices, with control given back between them."""
        table, records = self._tables[batch.tp.topic], batch.records
        for first in range(0, len(records), SLICE_RECORDS):
            some = records[first : first + SLICE_RECORDS]
            if self.follows(batch.tp):
                table.apply(batch.tp.partition, some, some[-1].offset + 1)
            await asyncio.sleep(0)
        if self.follows(batch.tp):
            table.apply(batch.tp.partition, (), batch.position)
