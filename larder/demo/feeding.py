"""The shop's messages on their way into its topics, at the rate that was asked for, in whole producer batches.

Knows Kafka's producer, and nothing of who reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaProducer

from larder.config.connection import Connection
from larder.demo.shop import Shop, products
from larder.kafka.clients import new_producer
from larder.kafka.partitioner import partitions_of
from tables import shop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from aiokafka.producer.message_accumulator import BatchBuilder

    from larder.client.publishing import Message
    from larder.demo.ownership import Ownership

# Seconds between two sends: orders are at most so old when they leave, and few batches cost little.
BEAT_SECONDS = 0.02
# As fast as possible means so many orders at a time.
MOST_AT_A_TIME = 4_000
# Half of what a broker takes as one message by default.
BATCH_BYTES = 512 * 1024
# Everything is acknowledged when the demo ends well; when its broker has died, nothing will be.
STOP_SECONDS = 1.0


class Feeder:
    """Publishes the shop's messages until it is told to stop; `orders` counts those that were sent."""

    def __init__(self, producer: AIOKafkaProducer, partitions: Mapping[str, int], before: Ownership) -> None:
        """Prepare; nothing is sent. The producer is started, and stopped, by the caller."""
        self.orders = 0
        self._producer = producer
        self._partitions = partitions
        self._shop = Shop(before.revisions, before.next_order, random.Random(), time.time())  # noqa: S311 - a game
        self._sent: list[asyncio.Future[object]] = []

    @property
    def someone(self) -> str:
        """The id of a customer, for people to look up."""
        return self._shop.someone()

    async def open(self) -> None:
        """Publish the customers that are missing, and the products, and wait until they are acknowledged."""
        await self._send(shop.products.name, products())
        await self._send(shop.customers.name, self._shop.open())
        await self._settle()

    async def run(self, rate: float, stop: asyncio.Event) -> None:
        """Publish `rate` orders a second, 0: as many as possible, until `stop` is set; raises KafkaError."""
        began, given = time.monotonic(), 0
        while not stop.is_set():
            due = int((time.monotonic() - began) * rate) - given if rate else MOST_AT_A_TIME
            orders = self._shop.orders(min(due, MOST_AT_A_TIME), time.time()) if due > 0 else []
            given += len(orders)
            await self._settle()
            await self._send(shop.customers.name, self._shop.changes(time.time()))
            await self._send(shop.orders.name, orders)
            self.orders += len(orders)
            if due < MOST_AT_A_TIME:
                await asyncio.sleep(BEAT_SECONDS)
        await self._settle()

    async def _settle(self) -> None:
        """Wait for what is on its way: at most one beat is ahead of its acknowledgement."""
        sent, self._sent = self._sent, []
        # Not gather: it would cancel what it waits for, and the failures behind that would go unheard.
        for each in (await asyncio.wait(sent))[0] if sent else ():
            each.result()

    async def _send(self, topic: str, messages: Sequence[Message]) -> None:
        if not messages:
            return
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
        # When the demo ends by another failure nobody waits for it any more: that is no failure to be told, too.
        sent.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._sent.append(sent)


@contextlib.asynccontextmanager
async def producing(connection: Connection) -> AsyncIterator[AIOKafkaProducer]:
    """Give a producer for whole batches. What is still on its way at the end has `STOP_SECONDS`."""
    producer = new_producer(connection, enable_idempotence=False, max_batch_size=BATCH_BYTES)
    await producer.start()
    try:
        yield producer
    finally:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await producer.stop()
