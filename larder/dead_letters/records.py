"""Records of any topic between two offsets, and records on their way to a topic. Thin: no decision is made here."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from aiokafka.errors import KafkaTimeoutError, OffsetOutOfRangeError
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata, TopicPartition

from larder.delivery.delivery import ANSWER_SECONDS
from larder.delivery.guarantees import BATCH_BYTES, NO_COMPRESSION
from larder.kafka.batch_consumer import BATCH_RECORDS, POLL_SECONDS, fetch
from larder.kafka.retrying import within

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence

    from larder.dead_letters.letters import Headers
    from larder.declaring.records import Record
    from larder.kafka.batch_consumer import BatchConsumer
    from larder.kafka.transactions import TransactionalProducer

SILENT_SECONDS = 30.0
"""A worker's open transaction holds back what comes after it; the broker ends one after ten seconds."""


class Span(NamedTuple):
    """Offsets of a partition: the first, and the one after the last."""

    begin: int
    end: int


class Outgoing(NamedTuple):
    """A record to be sent; timestamp in ms, `largest` is the most bytes that its topic takes."""

    tp: TopicPartition
    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: Headers
    largest: int


async def spans(consumer: BatchConsumer, tps: Collection[TopicPartition]) -> dict[TopicPartition, Span]:
    """Give the offsets of partitions, up to the last stable one where only what is committed is read."""
    if not tps:
        return {}
    begins, ends = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
    return {tp: Span(begins[tp], ends[tp]) for tp in tps}


async def records(consumer: BatchConsumer, tp: TopicPartition, span: Span) -> AsyncIterator[Sequence[Record]]:
    """Read what lies between two offsets, a batch at a time; the consumer is used for nothing else meanwhile.

    Raises KafkaError, also where the broker has not told for long what lies there.
    """
    position, silent = span.begin, 0.0
    if position >= span.end:
        return
    consumer.assign([tp])
    consumer.seek(tp, position)
    while position < span.end:
        fetched = await fetch(consumer, [tp], POLL_SECONDS, BATCH_RECORDS)
        if tp in fetched.out_of_range:
            raise OffsetOutOfRangeError({tp: position})
        silent = 0.0 if fetched.batches else silent + POLL_SECONDS
        if silent > SILENT_SECONDS:
            message = f"waited {SILENT_SECONDS:g} s for offset {position} of {tp.topic}/{tp.partition}"
            raise KafkaTimeoutError(message)
        for batch in fetched.batches:
            position = batch.position
            yield [record for record in batch.records if record.offset < span.end]


async def send(producer: TransactionalProducer, outgoing: Sequence[Outgoing]) -> list[int]:
    """Send records in an open transaction, each partition's in their order; gives their offsets. Raises KafkaError."""
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
    """Put records of one partition into batches that its topic takes."""
    made: list[tuple[BatchBuilder, list[int]]] = []
    for number in numbers:
        record = outgoing[number]
        content = {
            "timestamp": record.timestamp, "key": record.key, "value": record.value, "headers": record.headers
        }  # fmt: skip
        if not made or made[-1][0].append(**content) is None:
            # The first record of a batch always finds room.
            made.append((BatchBuilder(min(BATCH_BYTES, record.largest), NO_COMPRESSION, is_transactional=True), []))
            made[-1][0].append(**content)
        made[-1][1].append(number)
    return made
