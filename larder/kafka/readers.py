"""Reads topics without a consumer group, so that nothing on the broker changes."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal, NamedTuple

from aiokafka.errors import KafkaTimeoutError, OffsetOutOfRangeError

from larder.kafka.batch_consumer import BATCH_RECORDS, POLL_SECONDS, fetch
from larder.kafka.clients import REQUEST_TIMEOUT_MS, new_consumer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence

    from aiokafka.structs import TopicPartition

    from larder.config.connection import Connection
    from larder.declaring.records import Record
    from larder.kafka.batch_consumer import BatchConsumer

SILENT_SECONDS = 30.0
"""A worker's open transaction holds back the records behind it; the broker ends one after ten seconds."""

Isolation = Literal["read_committed", "read_uncommitted"]


class Span(NamedTuple):
    """Offsets of a partition: the first, and the one after the last."""

    begin: int
    end: int


@asynccontextmanager
async def reader(
    connection: Connection, isolation: Isolation = "read_committed", *, request_timeout_ms: int = REQUEST_TIMEOUT_MS
) -> AsyncIterator[BatchConsumer]:
    """Run a consumer without a group; raises KafkaError and OSError."""
    consumer = new_consumer(connection, isolation_level=isolation, request_timeout_ms=request_timeout_ms)
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


async def whole(consumer: BatchConsumer, tp: TopicPartition) -> Sequence[Record]:
    """Return all records that a small partition has now."""
    span = (await spans(consumer, [tp]))[tp]
    return [record async for some in records(consumer, tp, span) for record in some]


async def spans(consumer: BatchConsumer, tps: Collection[TopicPartition]) -> dict[TopicPartition, Span]:
    """Return the current offsets of partitions; a reader of committed records gets those up to the last stable one."""
    if not tps:
        return {}
    # aiokafka asks at once only for the leaders of assigned topics; for others, a tenth of a second later.
    consumer.assign(tps)
    begins, ends = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
    return {tp: Span(begins[tp], ends[tp]) for tp in tps}


async def records(consumer: BatchConsumer, tp: TopicPartition, span: Span) -> AsyncIterator[Sequence[Record]]:
    """Yield the records between two offsets, a batch at a time; nothing else may use the consumer meanwhile.

    Raises KafkaError, also if the broker sends nothing for `SILENT_SECONDS`.
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
