"""Batches from a real broker have the records that any reader gets, in order, with their position."""

from __future__ import annotations

import hashlib
import inspect
import random
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.protocol.fetch import FetchRequest

from larder.kafka.batch_consumer import FETCHES, Batch, BatchConsumer, Fetched, fetch
from tests.support.topics import COMPACTED, Sent, admin, create, read, send, until

PATIENCE = 0.2
"""Seconds that one poll may wait for records."""


@asynccontextmanager
async def reading(kafka: str, topic: str, *positions: int, fetch_bytes: int = 1 << 20) -> AsyncIterator[BatchConsumer]:
    """A consumer like that of followers, at these positions."""
    consumer = BatchConsumer(
        bootstrap_servers=kafka,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
        max_partition_fetch_bytes=fetch_bytes,
        fetch_max_wait_ms=50,
    )
    await consumer.start()
    try:
        tps = [TopicPartition(topic, partition) for partition in range(len(positions))]
        consumer.assign(tps)
        for tp, position in zip(tps, positions, strict=True):
            consumer.seek(tp, position)
        yield consumer
    finally:
        await consumer.stop()


async def batches_to(
    consumer: BatchConsumer, ends: dict[TopicPartition, int], limit: int = 4_000, timeout: float = 20
) -> list[Batch]:
    """All batches until the position of each partition is at its end."""
    found: list[Batch] = []

    async def there() -> bool:
        found.extend((await fetch(consumer, ends.keys(), PATIENCE, limit)).batches)
        reached = {batch.tp: batch.position for batch in found}
        return all(reached.get(tp, 0) >= end for tp, end in ends.items())

    await until(there, timeout, f"positions at {ends}")
    return found


async def until_fetched(consumer: BatchConsumer, wanted: Collection[TopicPartition]) -> Fetched:
    async def something() -> Fetched | None:
        fetched = await fetch(consumer, wanted, PATIENCE, 4_000)
        return fetched if fetched.batches or fetched.out_of_range else None

    return await until(something, 15, "something fetched")


def flat(batches: Collection[Batch]) -> list[tuple[int, bytes | None, bytes | None]]:
    return [(record.offset, record.key, record.value) for batch in batches for record in batch.records]


async def transact(kafka: str, topic: str, chance: random.Random) -> None:
    """Mix open, committed and aborted transactions of several producers with records outside of any."""
    producers = [
        AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=f"{topic}-{number}", linger_ms=0)
        for number in range(3)
    ]
    outside = AIOKafkaProducer(bootstrap_servers=kafka, linger_ms=0)
    for producer in (*producers, outside):
        await producer.start()
    open_: set[AIOKafkaProducer] = set()
    for number in range(120):
        producer = chance.choice([*producers, outside])
        if producer is not outside and producer not in open_:
            await producer.begin_transaction()
            open_.add(producer)
        elif producer in open_ and chance.random() < 0.4:
            await (producer.commit_transaction() if chance.random() < 0.5 else producer.abort_transaction())
            open_.discard(producer)
            continue
        await producer.send_and_wait(topic, key=b"%d" % number, value=b"v")
    for producer in open_:
        await (producer.commit_transaction() if chance.random() < 0.5 else producer.abort_transaction())
    for producer in (*producers, outside):
        await producer.stop()


async def test_only_committed_records_are_read_wherever_reading_begins(kafka: str, topic: str) -> None:
    await create(kafka, {topic: 1})
    await transact(kafka, topic, random.Random(1))  # noqa: S311 - to be repeated, not to be secret
    expected = [(record.offset, record.key, record.value) for record in await read(kafka, topic)]
    tp = TopicPartition(topic, 0)
    async with reading(kafka, topic, 0) as consumer:
        end = (await consumer.end_offsets([tp]))[tp]
        assert 0 < len(expected) < end - 10, "there are aborted records and markers"
        for position in range(0, end, 29):
            consumer.seek(tp, position)
            found = await batches_to(consumer, {tp: end}, limit=5)
            assert flat(found) == [each for each in expected if each[0] >= position]


async def test_markers_and_aborted_records_at_the_end_move_the_position(kafka: str, topic: str) -> None:
    await create(kafka, {topic: 1})
    producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=topic)
    await producer.start()
    async with producer.transaction():
        await producer.send_and_wait(topic, b"seen")
    await producer.begin_transaction()
    await producer.send_and_wait(topic, b"unseen")
    await producer.abort_transaction()
    await producer.stop()
    tp = TopicPartition(topic, 0)
    async with reading(kafka, topic, 0) as consumer:
        found = await batches_to(consumer, {tp: 4})
        assert [record.value for batch in found for record in batch.records] == [b"seen"]
        assert await consumer.position(tp) == 4
        assert (await fetch(consumer, [tp], 0, 10)).ends[tp].end == 4


async def test_an_open_transaction_holds_back_its_records_and_those_behind_it(kafka: str, topic: str) -> None:
    await create(kafka, {topic: 1})
    producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=topic)
    await producer.start()
    await send(kafka, topic, [("a", b"before")])
    await producer.begin_transaction()
    await producer.send_and_wait(topic, b"open")
    await send(kafka, topic, [("a", b"after")])
    tp = TopicPartition(topic, 0)
    async with reading(kafka, topic, 0) as consumer:
        first = await until_fetched(consumer, [tp])
        assert [record.value for record in first.batches[0].records] == [b"before"]
        assert first.ends[tp].end == 1
        await producer.commit_transaction()
        found = await batches_to(consumer, {tp: 4})
        assert [value for _, _, value in flat(found)] == [b"open", b"after"]
    await producer.stop()


async def test_an_owned_topic_ends_at_its_last_record_committed_or_not(kafka: str, topic: str) -> None:
    """Records that an earlier worker may have committed must not appear after the partition counts as caught up."""
    await create(kafka, {topic: 1})
    tp = TopicPartition(topic, 0)
    async with AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=topic) as producer:
        await send(kafka, topic, [("a", b"before")])
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"open")
        async with reading(kafka, topic, 0) as consumer:
            consumer.owned = {topic}
            assert (await until_fetched(consumer, [tp])).ends[tp].end == 2
        await producer.abort_transaction()


async def test_the_position_passes_the_gaps_of_compaction(kafka: str, topic: str) -> None:
    """A batch keeps its end even if its last record was deleted."""
    config = {**COMPACTED, "segment.ms": "100", "min.cleanable.dirty.ratio": "0.01", "delete.retention.ms": "100"}
    await create(kafka, {topic: 1}, config)
    for number in range(3):
        await send(kafka, topic, [(f"k{key}", b"%d" % number) for key in range(5)])
    tp = TopicPartition(topic, 0)

    async def compacted() -> bool:
        # The first record after its time closes a segment.
        await send(kafka, topic, [("last", b"x")])
        return len(await read(kafka, topic)) < 10

    await until(compacted, 60, f"{topic} compacted")
    async with reading(kafka, topic, 0) as consumer:
        end = (await consumer.end_offsets([tp]))[tp]
        for position in range(end):

            async def unchanged(position: int = position) -> bool:
                """Compaction continues during the read: compare only the records that existed both before and after."""
                before = await read(kafka, topic)
                consumer.seek(tp, position)
                found = await batches_to(consumer, {tp: end})
                if [record.offset for record in before] != [record.offset for record in await read(kafka, topic)]:
                    return False
                assert flat(found) == [
                    (each.offset, each.key, each.value) for each in before if each.offset >= position
                ]
                return True

            await until(unchanged, 30, f"{topic} as it was while it was read from {position}")


@pytest.mark.parametrize("compression", [None, "gzip", "lz4", "snappy", "zstd"])
async def test_compressed_batches_can_be_read_from_their_middle(
    kafka: str, topic: str, compression: str | None
) -> None:
    await create(kafka, {topic: 1})
    rows = [(f"k{number}", b"%d" % number * 20) for number in range(300)]
    await send(kafka, topic, rows, compression_type=compression)
    tp = TopicPartition(topic, 0)
    async with reading(kafka, topic, 123) as consumer:
        found = await batches_to(consumer, {tp: 300}, limit=1)
    assert flat(found) == [(offset, rows[offset][0].encode(), rows[offset][1]) for offset in range(123, 300)]


async def test_keys_values_headers_and_times_arrive_unchanged(kafka: str, topic: str) -> None:
    await create(kafka, {topic: 1})
    records = [
        Sent(None, b"v", headers=[("a", b"1"), ("a", b"")], timestamp_ms=1_700_000_000_123),
        Sent(b"\xff", None),
        Sent("", b""),
    ]
    await send(kafka, topic, records)
    async with reading(kafka, topic, 0) as consumer:
        (batch,) = (await until_fetched(consumer, [TopicPartition(topic, 0)])).batches
    first, second, third = batch.records
    assert (first.key, first.value, first.timestamp) == (None, b"v", 1_700_000_000_123)
    assert list(first.headers) == [("a", b"1"), ("a", b"")]
    assert (second.key, second.value) == (b"\xff", None)
    assert (third.key, third.value, list(third.headers)) == (b"", b"", [])


async def test_a_position_outside_the_log_is_reported_and_never_reset(kafka: str, topic: str) -> None:
    await create(kafka, {topic: 3})
    await send(kafka, topic, [Sent("k", b"v", partition) for partition in range(3) for _ in range(5)])
    async with admin(kafka) as client:
        await client.delete_records({TopicPartition(topic, 1): RecordsToDelete(before_offset=3)})
    async with reading(kafka, topic, 99, 1, 2) as consumer:
        lost: dict[TopicPartition, int] = {}
        found: list[Batch] = []

        async def all_lost() -> bool:
            fetched = await fetch(consumer, consumer.assignment(), PATIENCE, 100)
            lost.update(fetched.out_of_range)
            found.extend(fetched.batches)
            return len(lost) == 2 and bool(flat(found))

        await until(all_lost, 15, "two lost positions")
        assert lost == {TopicPartition(topic, 0): 99, TopicPartition(topic, 1): 1}
        assert {batch.tp.partition for batch in found} == {2}
        assert [await consumer.position(TopicPartition(topic, partition)) for partition in range(2)] == [99, 1]


async def test_a_poll_gives_about_as_many_records_as_wanted_and_keeps_the_rest(kafka: str, topic: str) -> None:
    await create(kafka, {topic: 1})
    for first in range(0, 100, 10):
        await send(kafka, topic, [(f"k{number}", b"v") for number in range(first, first + 10)])
    tp = TopicPartition(topic, 0)
    async with reading(kafka, topic, 0) as consumer:
        found = await batches_to(consumer, {tp: 100}, limit=25)
    assert [record.offset for batch in found for record in batch.records] == list(range(100))
    assert all(len(batch.records) <= 30 for batch in found), "whole record batches, up to the one that reaches 25"


async def test_partitions_that_are_not_wanted_keep_their_records(kafka: str, topic: str) -> None:
    await create(kafka, {topic: 2})
    await send(kafka, topic, [Sent("k", b"%d" % number, number % 2) for number in range(10)])
    one, other = TopicPartition(topic, 0), TopicPartition(topic, 1)
    async with reading(kafka, topic, 0, 0) as consumer:
        found = await batches_to(consumer, {one: 5})
        assert {batch.tp for batch in found} == {one}
        assert await consumer.position(other) == 0
        # Its end is known anyway, and so is its lag.
        assert (await fetch(consumer, [one], PATIENCE, 10)).ends[other].end == 5
        assert [value for _, _, value in flat(await batches_to(consumer, {other: 5}))] == [b"1", b"3", b"5", b"7", b"9"]


async def test_records_fetched_before_a_seek_are_dropped(kafka: str, topic: str) -> None:
    await create(kafka, {topic: 1})
    await send(kafka, topic, [("k", b"%d" % number) for number in range(20)])
    tp = TopicPartition(topic, 0)
    async with reading(kafka, topic, 0) as consumer:
        await until(lambda: tp in consumer._fetcher._records, 15, "records in the consumer")
        consumer.seek(tp, 15)
        assert [offset for offset, _, _ in flat(await batches_to(consumer, {tp: 20}))] == [15, 16, 17, 18, 19]
        consumer.seek(tp, 3)
        assert [offset for offset, _, _ in flat(await batches_to(consumer, {tp: 20}))] == list(range(3, 20))


async def test_a_record_that_was_damaged_on_its_way_is_refused(
    kafka: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(kafka, {topic: 1})
    await send(kafka, topic, [("k", b"an order of 100")])
    send_on = AIOKafkaClient.send

    async def damaged(client: Any, node: Any, request: Any, **options: Any) -> Any:
        answer = await send_on(client, node, request, **options)
        if isinstance(request, FetchRequest):
            answer.topics = [
                (
                    name,
                    [(*each[:-1], (each[-1] or b"").replace(b"order of 100", b"order of 900")) for each in partitions],
                )
                for name, partitions in answer.topics
            ]
        return answer

    monkeypatch.setattr(AIOKafkaClient, "send", damaged)
    async with reading(kafka, topic, 0) as consumer:
        with pytest.raises(CorruptRecordException, match=f"invalid checksum in {topic}/0 at 0"):
            await until_fetched(consumer, [TopicPartition(topic, 0)])


async def test_a_record_that_is_larger_than_a_fetch_is_read(kafka: str, topic: str) -> None:
    await create(kafka, {topic: 1})
    await send(kafka, topic, [("a", b"small"), ("b", b"x" * 900_000), ("c", b"small")])
    async with reading(kafka, topic, 0, fetch_bytes=10_000) as consumer:
        found = await batches_to(consumer, {TopicPartition(topic, 0): 3})
    assert [len(value or b"") for _, _, value in flat(found)] == [5, 900_000, 5]


async def test_an_idle_poll_returns_in_time_and_reports_the_end(kafka: str, topic: str) -> None:
    await create(kafka, {topic: 1})
    tp = TopicPartition(topic, 0)
    async with reading(kafka, topic, 0) as consumer:

        async def observed() -> Fetched | None:
            fetched = await fetch(consumer, [tp], 0.05, 10)
            return fetched if fetched.ends else None

        fetched = await until(observed, 15, "an end of an empty topic")
    assert fetched is not None
    assert (fetched.batches, fetched.ends[tp].end) == ([], 0)


async def test_fetches_and_metadata_use_separate_connections(kafka: str, topic: str) -> None:
    """`tests/cluster/test_cut_off.py` shows why that matters on a slow network."""
    await create(kafka, {topic: 1})
    await send(kafka, topic, [("a", b"v")])
    async with reading(kafka, topic, 0) as consumer:
        await until_fetched(consumer, [TopicPartition(topic, 0)])
        received = {group: conn._correlation_id for (_, group), conn in consumer._client._conns.items()}
        assert received.keys() == {ConnectionGroup.DEFAULT, FETCHES}
        await consumer.end_offsets([TopicPartition(topic, 0)])
        (asked,) = (conn for (_, group), conn in consumer._client._conns.items() if group != FETCHES)
        assert asked._correlation_id > received[ConnectionGroup.DEFAULT]


@pytest.mark.parametrize(
    ("part", "digest"),
    [
        (fetcher.PartitionRecords, "94aa0da0dbec8d1b"),
        (fetcher.FetchResult, "d7db13f06de8248c"),
        (fetcher.FetchError, "10966ad4c7954483"),
    ],
)
def test_the_rewritten_parts_of_aiokafka_are_the_known_ones(part: type, digest: str) -> None:
    """Fails with another aiokafka: read what has changed, then review `larder.kafka.batch_consumer`."""
    assert hashlib.sha256(inspect.getsource(part).encode()).hexdigest()[:16] == digest


def test_a_batch_builder_takes_the_same_arguments() -> None:
    """`larder.delivery.guarantees` makes its own for topics that take small batches only."""
    assert list(inspect.signature(BatchBuilder).parameters)[:2] == ["batch_size", "compression_type"]
