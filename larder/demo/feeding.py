"""Publishes what a generator yields, at a set rate, in whole producer batches.

Knows Kafka's producer, but not the readers.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from typing import TYPE_CHECKING

import msgspec
from aiokafka import AIOKafkaProducer

from larder.client.publishing import Message
from larder.config.errors import MistakeError
from larder.declaring.problems import Problem
from larder.demo.history import created_topics, read_back
from larder.kafka.admin import Cluster
from larder.kafka.clients import new_producer
from larder.kafka.partitioner import partitions_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    from aiokafka.producer.message_accumulator import BatchBuilder

    from larder.config.connection import Connection
    from larder.demo.declared import Demo, Generator, Publication

# Seconds between two sends. Events wait at most this long, and fewer batches cost less.
BEAT_SECONDS = 0.02
# Events of one beat when the rate is unlimited.
MOST_AT_A_TIME = 4_000
# Half of the largest message that a broker accepts by default.
BATCH_BYTES = 512 * 1024
# If a demo ends normally, everything is acknowledged by then. If its broker has died, nothing ever will be.
STOP_SECONDS = 1.0


class Feeder:
    """Publishes what a generator yields. `published` counts records by topic."""

    def __init__(self, producer: AIOKafkaProducer, partitions: Mapping[str, int], generator: Generator) -> None:
        """Create a feeder; the caller starts and stops the producer. `partitions` has the number for each topic."""
        self.published: Counter[str] = Counter()
        self._producer = producer
        self._partitions = partitions
        self._generator = generator
        self._encode = msgspec.json.Encoder().encode
        self._sent: list[asyncio.Future[object]] = []

    async def open(self) -> None:
        """Publish the rows that have to exist first, and wait until they are acknowledged."""
        await self._publish(self._generator.opening())
        await self._settle()

    async def run(self, rate: float, stop: asyncio.Event) -> None:
        """Publish `rate` events a second (0: unlimited) until `stop` is set. Raise KafkaError."""
        began, given = time.monotonic(), 0
        while not stop.is_set():
            due = int((time.monotonic() - began) * rate) - given if rate else MOST_AT_A_TIME
            count = max(0, min(due, MOST_AT_A_TIME))
            given += count
            await self._settle()
            await self._publish(self._generator.beat(count, time.time()))
            if due < MOST_AT_A_TIME:
                await asyncio.sleep(BEAT_SECONDS)
        await self._settle()

    async def _settle(self) -> None:
        """Wait for the records in flight, so that at most one beat is unacknowledged."""
        sent, self._sent = self._sent, []
        # Not gather: it would cancel the remaining futures, and their failures would be lost.
        for each in (await asyncio.wait(sent))[0] if sent else ():
            each.result()

    async def _publish(self, publications: Iterable[Publication]) -> None:
        messages: dict[str, list[Message]] = {}
        for topic, row in publications:
            message = Message(topic.key_codec.encode(getattr(row, topic.key)), self._encode(row))
            messages.setdefault(topic.name, []).append(message)
        for name, those in messages.items():
            if name not in self._partitions:
                raise _foreign(name)
            await self._send(name, those)
            self.published[name] += len(those)

    async def _send(self, topic: str, messages: Sequence[Message]) -> None:
        places = partitions_of([message.key for message in messages], self._partitions[topic])
        now = int(time.time() * 1000)
        batches = [self._producer.create_batch() for _ in range(self._partitions[topic])]
        for message, place in zip(messages, places, strict=True):
            if batches[place].append(timestamp=now, key=message.key, value=message.value) is None:
                await self._send_batch(topic, place, batches[place])
                batches[place] = self._producer.create_batch()
                batches[place].append(timestamp=now, key=message.key, value=message.value)
        for place, batch in enumerate(batches):
            if batch.record_count():
                await self._send_batch(topic, place, batch)

    async def _send_batch(self, topic: str, partition: int, batch: BatchBuilder) -> None:
        sent = await self._producer.send_batch(batch, topic, partition=partition)
        # If another failure ends the demo, nothing awaits this future. Fetch its exception, or asyncio would log it.
        sent.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._sent.append(sent)


def _foreign(topic: str) -> MistakeError:
    requires = "requires a generator that writes the topics of its Demo"
    return MistakeError(Problem("larder demo", requires, f"a record for {topic}", "add that topic to rows"))


@contextlib.asynccontextmanager
async def opened_feeder(connection: Connection, demo: Demo) -> AsyncIterator[Feeder]:
    """Create the topics of a demo, publish the rows that have to exist first, and yield the feeder for the rest."""
    async with Cluster(connection) as cluster:
        partitions = await created_topics(cluster, demo.topics)
    history = await read_back(connection, demo, partitions)
    async with _producing(connection) as producer:
        feeder = Feeder(producer, partitions, demo.generator(history))
        await feeder.open()
        yield feeder


@contextlib.asynccontextmanager
async def _producing(connection: Connection) -> AsyncIterator[AIOKafkaProducer]:
    """Yield a producer of whole batches. At the end, wait up to `STOP_SECONDS` for records in flight."""
    producer = new_producer(connection, enable_idempotence=False, max_batch_size=BATCH_BYTES)
    await producer.start()
    try:
        yield producer
    finally:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await producer.stop()
