"""The records of a service in `<service>.growth`: its generations, its mirrors, and how far a growth has come.

Every worker reads them before it starts and again after each assignment, and follows them meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import NamedTuple

from aiokafka.structs import TopicPartition

from larder.config.connection import Connection
from larder.declaring.facts import growth_name
from larder.declaring.generations import Generation, merged, read_generation
from larder.declaring.growth import GrowthState, Record, encode, read_record, state_of
from larder.declaring.plurals import counted
from larder.declaring.problems import Problem
from larder.kafka.admin import Cluster
from larder.kafka.batch_consumer import BatchConsumer
from larder.kafka.publishers import publisher
from larder.kafka.readers import reader, records, spans
from larder.kafka.retrying import answered
from larder.worker.builds import MirrorTime, read_mirror_time
from larder.worker.topic_ownership import REQUEST_TIMEOUT_MS

log = logging.getLogger("larder")

FOLLOW_SECONDS = 0.25
"""The interval at which a worker looks for new records."""


class GrowthRecords(NamedTuple):
    """What a service has written down, up to the offset `end`.

    `generation` is the one that counts, None before the first start. `highest` is the highest number of a generation,
    also of one that was cancelled. `mirrored` says when mirrors had all deletions of their sources.
    """

    generation: Generation | None = None
    highest: int = 0
    mirrored: Sequence[MirrorTime] = ()
    state: GrowthState = GrowthState()
    end: int = 0


async def read_growth(connection: Connection, service: str) -> GrowthRecords:
    """Read all records of a service; raise KafkaError."""
    async with reader(connection, request_timeout_ms=REQUEST_TIMEOUT_MS) as consumer:
        return await _read(consumer, growth_name(service))


async def read_if_written(cluster: Cluster, service: str) -> GrowthRecords | None:
    """Read all records of a service; None if it has no topic for them. Raise KafkaError."""
    topic = growth_name(service)
    return await read_growth(cluster.connection, service) if topic in await cluster.facts([topic]) else None


async def write_growth(connection: Connection, service: str, written: Iterable[tuple[bytes, bytes]]) -> int:
    """Write records, given as keys and values; return the offset of the last, or -1. Raise KafkaError."""
    written, offset = list(written), -1
    if not written:
        return offset
    async with publisher(connection, request_timeout_ms=REQUEST_TIMEOUT_MS) as producer:
        for key, value in written:
            sent = await (await producer.send(growth_name(service), value, key, partition=0))
            offset = sent.offset
    return offset


async def write_record(connection: Connection, service: str, record: Record) -> int:
    """Write one record about a growth and return its offset; raise KafkaError."""
    return await write_growth(connection, service, [(record.key, encode(record))])


async def _read(consumer: BatchConsumer, topic: str) -> GrowthRecords:
    tp = TopicPartition(topic, 0)
    span = (await spans(consumer, [tp]))[tp]
    values = [each.value or b"" async for some in records(consumer, tp, span) for each in some]
    generations = [each for each in map(read_generation, values) if each is not None]
    times = [each for each in map(read_mirror_time, values) if each is not None]
    growth = [each for each in map(read_record, values) if each is not None]
    if foreign := len(values) - len(generations) - len(times) - len(growth):
        log.warning("%s", Problem(
            f"topic {topic}", "requires records of its service only", counted(foreign, "other record"),
            "they are ignored; let only Larder write there",
        ))  # fmt: skip
    state = state_of(growth)
    numbers = [each.number for each in generations]
    if state.growth is not None:
        numbers += [state.growth.generation.number, state.growth.highest]
    return GrowthRecords(merged(generations), max(numbers, default=0), times, state, span.end)


class GrowthLog:
    """Follows the records of a service; `known` is what was read last."""

    def __init__(self, connection: Connection, service: str, known: GrowthRecords) -> None:
        self.known = known
        self._connection = connection
        self._service = service
        self._topic = growth_name(service)
        self._reading = asyncio.Lock()
        self._consumer: BatchConsumer | None = None
        self._changed = asyncio.Event()

    async def news(self) -> None:
        """Wait for new records."""
        await self._changed.wait()

    async def refresh(self) -> GrowthRecords:
        """Read all that is there now; raise KafkaError."""
        async with self._reading:
            found = await self._newest()
            if found.end > self.known.end:
                self.known = found
                # Wakes all who wait now, and nobody else.
                self._changed.set()
                self._changed = asyncio.Event()
            return self.known

    async def _newest(self) -> GrowthRecords:
        if self._consumer is None:
            return await read_growth(self._connection, self._service)
        tp = TopicPartition(self._topic, 0)
        if (await self._consumer.end_offsets([tp]))[tp] <= self.known.end:
            return self.known
        return await _read(self._consumer, self._topic)

    async def follow(self) -> None:
        """Follow until cancelled; retry after temporary errors."""
        async with AsyncExitStack() as stack:
            connected = partial(reader, self._connection, request_timeout_ms=REQUEST_TIMEOUT_MS)
            consumer = await answered(lambda: stack.enter_async_context(connected()))
            # aiokafka asks at once only for the leaders of assigned topics.
            consumer.assign([TopicPartition(self._topic, 0)])
            self._consumer = consumer
            try:
                while True:
                    await answered(self.refresh)
                    await asyncio.sleep(FOLLOW_SECONDS)
            finally:
                self._consumer = None
