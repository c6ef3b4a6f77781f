"""Sends records in a transaction. Decides nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata, TopicPartition

from larder.delivery.delivery import ANSWER_SECONDS
from larder.delivery.guarantees import BATCH_BYTES, NO_COMPRESSION
from larder.kafka.retrying import within

if TYPE_CHECKING:
    from collections.abc import Sequence

    from larder.dead_letters.letters import Headers
    from larder.kafka.transactions import TransactionalProducer


class Outgoing(NamedTuple):
    """A record to send. Its timestamp is in ms; `largest` is the size limit of its topic in bytes."""

    tp: TopicPartition
    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: Headers
    largest: int


async def send(producer: TransactionalProducer, outgoing: Sequence[Outgoing]) -> list[int]:
    """Send records in an open transaction, in order by partition, and return their offsets. Raises KafkaError."""
    by_partition: dict[TopicPartition, list[int]] = {}
    for number, record in enumerate(outgoing):
        by_partition.setdefault(record.tp, []).append(number)
    sent: list[tuple[asyncio.Future[RecordMetadata], list[int]]] = []
    async with within(ANSWER_SECONDS, "records to be acknowledged"):
        for tp, numbers in by_partition.items():
            for batch, some in _batches(outgoing, numbers):
                sent.append((await producer.send_batch(batch, tp.topic, partition=tp.partition), some))
        acknowledged = await asyncio.gather(*(future for future, _ in sent))
    offsets = [0] * len(outgoing)
    for metadata, (_, some) in zip(acknowledged, sent, strict=True):
        for place, number in enumerate(some):
            offsets[number] = metadata.offset + place
    return offsets


def _batches(outgoing: Sequence[Outgoing], numbers: Sequence[int]) -> list[tuple[BatchBuilder, list[int]]]:
    """Put records of one partition into batches that its topic accepts."""
    made: list[tuple[BatchBuilder, list[int]]] = []
    for number in numbers:
        record = outgoing[number]
        content = {
            "timestamp": record.timestamp, "key": record.key, "value": record.value, "headers": record.headers
        }  # fmt: skip
        if not made or made[-1][0].append(**content) is None:
            # The first record of a batch always fits.
            made.append((BatchBuilder(min(BATCH_BYTES, record.largest), NO_COMPRESSION, is_transactional=True), []))
            made[-1][0].append(**content)
        made[-1][1].append(number)
    return made
