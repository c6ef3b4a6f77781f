"""Follows topics outside the consumer group, to fill tables: every partition of a global table.

It has a consumer of its own, assigns all partitions and seeks each to its stored position. There is no separate
recovery: it reads from that position to the end, and continues. It picks up new partitions while it runs.
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
"""For one partition at a time: with a quarter of it, a restore spent a tenth of its time waiting for the broker."""

SLICE_RECORDS = 1_000
"""Rows applied before the loop yields: two milliseconds of work."""

TOPICS_SECONDS = 5.0
"""How often followed topics are checked for new partitions, and for having been deleted and created again."""


class Follower:
    """Reads all partitions of the topics of `tables` (by topic name), which must exist."""

    standby = False
    """Whether other workers process what it follows."""

    def __init__(self, connection: Connection, tables: Mapping[str, LocalTable]) -> None:
        self._connection = connection
        self._tables = tables
        self._interrupted = False
        self._checked_at = -TOPICS_SECONDS

    def follows(self, tp: TopicPartition) -> bool:  # noqa: ARG002
        """Return whether records of a partition still have to be applied."""
        return True

    def wanted(
        self, topics: Mapping[str, Described], assigned: frozenset[TopicPartition]
    ) -> frozenset[TopicPartition]:  # fmt: skip
        """Return the partitions to follow from now on; `topics` as the broker describes them now."""
        return assigned | {
            TopicPartition(name, partition) for name, topic in topics.items() for partition in range(topic.partitions)
        }

    def done(self) -> bool:
        """Return whether there is nothing left to follow."""
        return False

    def set_topics(self, topics: Mapping[str, Described]) -> Collection[str]:
        """Set what the broker reports of the topics; return the recreated ones, which have to be read again."""
        recreated = {name for name, topic in topics.items() if topic.topic_id != self._tables[name].topic_id}
        for name, topic in topics.items():
            self._tables[name].set_topic(*topic)
        return recreated

    def check_topics_now(self) -> None:
        """Check topics at the next opportunity, since the partitions to follow may have changed."""
        self._checked_at = -TOPICS_SECONDS

    async def run(self) -> None:
        """Follow until cancelled or done; wait for an unreachable broker, and raise any other error."""
        while not self.done():
            consumer = new_consumer(self._connection, max_partition_fetch_bytes=FETCH_BYTES)
            try:
                await consumer.start()
                await self._follow(consumer)
            except (KafkaError, OSError) as error:
                if not is_passing(error):
                    raise
                if not self._interrupted:
                    log.info("following is interrupted (%r); it is retried until the broker answers", error)
                self._interrupted = True
                await asyncio.sleep(RETRY_SECONDS)
            finally:
                await consumer.stop()

    async def _follow(self, consumer: BatchConsumer) -> None:
        assigned: frozenset[TopicPartition] = frozenset()
        self.check_topics_now()
        while not self.done():
            if time.monotonic() - self._checked_at >= TOPICS_SECONDS:
                self._checked_at = time.monotonic()
                assigned = await self._assign(consumer, assigned)
                self._interrupted = False
            fetched = await fetch(consumer, assigned, POLL_SECONDS, BATCH_RECORDS)
            for batch in fetched.batches:
                await self._apply(batch)
            late = [
                tp
                for tp, end in fetched.ends.items()
                if self.follows(tp) and self._tables[tp.topic].observe_end(tp.partition, end)
            ]
            if late or fetched.out_of_range:
                await self._seek(consumer, {tp.topic for tp in [*late, *fetched.out_of_range]}, assigned)
            await asyncio.sleep(0)

    async def _assign(self, consumer: BatchConsumer, assigned: frozenset[TopicPartition]) -> frozenset[TopicPartition]:
        """Assign new partitions, and seek in recreated topics; return the partitions that are assigned now."""
        topics = await describe(consumer._client, self._tables)
        recreated = self.set_topics(topics)
        wanted = self.wanted(topics, assigned)
        if wanted != assigned:
            consumer.assign(set(wanted))
            await self._seek(consumer, self._tables, wanted)
        elif recreated:
            await self._seek(consumer, recreated, wanted)
        return wanted

    async def _seek(
        self, consumer: BatchConsumer, topics: Collection[str], assigned: Collection[TopicPartition]
    ) -> None:
        """Seek all partitions of `topics` to the positions of their tables."""
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
        """Apply a batch in slices, and yield to other tasks between them."""
        table, records = self._tables[batch.tp.topic], batch.records
        for first in range(0, len(records), SLICE_RECORDS):
            some = records[first : first + SLICE_RECORDS]
            if self.follows(batch.tp):
                table.apply(batch.tp.partition, some, some[-1].offset + 1)
            await asyncio.sleep(0)
        if self.follows(batch.tp):
            table.apply(batch.tp.partition, (), batch.position)
