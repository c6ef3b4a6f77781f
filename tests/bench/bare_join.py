"""The bare loop: fetched batches, partial decoding, a look-up, a splice, producer batches; without Faust and states.

It shows the cost of everything else: at-least-once, with the same reader, decoder and producer batches as Larder. The
program `python -m tests.bench.bare_join JOB [--dict]` runs until a signal stops it. With `--dict` it looks up the rows
in a Python dictionary and keeps no table, which is the upper limit.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from itertools import repeat
from typing import TYPE_CHECKING, Any

import msgspec
import uvloop
from aiokafka import AIOKafkaProducer
from aiokafka.structs import TopicPartition

from larder.kafka.batch_consumer import fetch
from larder.kafka.partitioner import partitions_of
from tests.bench.bare_rows import BATCH_RECORDS, HEADER, MIB, consumer, read_rows
from tests.bench.job import Job
from tests.bench.loading import PARTITIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from larder.declaring.records import Record
    from larder.kafka.batch_consumer import BatchConsumer

COMMIT_SECONDS = 0.2
BATCH_BYTES = MIB // 2

Joined = tuple[list[bytes], list[bytes], list[int]]


class Outputs:
    """Producer batches in flight. One interval of them is settled at a time."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, partitions: int) -> None:
        """Start with empty batches."""
        self._producer = producer
        self._topic = topic
        self._builders = [producer.create_batch() for _ in range(partitions)]
        self._sent: list[asyncio.Future[Any]] = []

    async def add(self, joined: Joined) -> None:
        """Add results to the batches of their partitions, and send full batches."""
        keys, values, timestamps = joined
        builders = self._builders
        for key, value, timestamp, partition in zip(
            keys, values, timestamps, partitions_of(keys, len(builders)), strict=True
        ):
            if builders[partition].append(timestamp=timestamp, key=key, value=value) is None:
                await self._send(partition)
                builders[partition].append(timestamp=timestamp, key=key, value=value)

    async def flush(self) -> list[asyncio.Future[Any]]:
        """Send all batches, and return the acknowledgements since the last flush."""
        for partition, builder in enumerate(self._builders):
            if builder.record_count():
                await self._send(partition)
        sent, self._sent = self._sent, []
        return sent

    async def _send(self, partition: int) -> None:
        builder = self._builders[partition]
        self._sent.append(await self._producer.send_batch(builder, self._topic, partition=partition))
        self._builders[partition] = self._producer.create_batch()


def joiner(job: Job, get: Callable[[bytes], Any]) -> Callable[[Sequence[Record]], Joined]:
    """Return the function from orders to results. Its loop does all the work per record."""
    part = msgspec.defstruct("Part", [("key", str, msgspec.field(name=job.field))], gc=False)
    decode: Callable[[bytes], Any] = msgspec.json.Decoder(part).decode
    head = b',"' + job.embed.encode() + b'":'
    after = HEADER.size

    def joined(records: Sequence[Record]) -> Joined:
        orders: list[Any] = [record.value for record in records]
        rows = map(get, [decode(order).key.encode() for order in orders])
        values = [b"%b%b%b}" % (order[:-1], head, row[after:]) for order, head, row in zip(orders, repeat(head), rows)]
        return [record.key or b"" for record in records], values, [record.timestamp for record in records]

    return joined


async def _run(job: Job, *, in_memory: bool) -> None:
    store = (await read_rows(job)).store
    store.flush()
    get = dict(store.items()).__getitem__ if in_memory else store.get
    reading = consumer(job, group=job.name)
    reading.subscribe([job.source])
    producer = AIOKafkaProducer(
        bootstrap_servers=job.brokers, acks="all", max_batch_size=BATCH_BYTES, max_request_size=4 * MIB
    )
    await reading.start()
    await producer.start()
    await _loop(reading, joiner(job, get), Outputs(producer, job.into, PARTITIONS))


async def _loop(reading: BatchConsumer, joined: Callable[[Sequence[Record]], Joined], outputs: Outputs) -> None:
    gc.freeze()
    gc.disable()
    clock = asyncio.get_running_loop().time
    done: dict[TopicPartition, int] = {}
    settling: asyncio.Task[None] | None = None
    due = clock() + COMMIT_SECONDS
    while True:
        fetched = await fetch(reading, reading.assignment(), COMMIT_SECONDS, BATCH_RECORDS)
        for batch in fetched.batches:
            await outputs.add(joined(batch.records))
            done[batch.tp] = batch.position
        if done and clock() > due:
            if settling:
                await settling
            settling = asyncio.create_task(_settle(reading, await outputs.flush(), done))
            done = {}
            due = clock() + COMMIT_SECONDS


async def _settle(reading: BatchConsumer, sent: list[asyncio.Future[Any]], done: dict[TopicPartition, int]) -> None:
    await asyncio.gather(*sent)
    await reading.commit(done)


if __name__ == "__main__":
    uvloop.run(_run(Job(**json.loads(sys.argv[1])), in_memory="--dict" in sys.argv))
