"""Topics for tests: created with given settings, written record by record, and read as any reader would."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeVar

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, PolicyViolationError
from aiokafka.protocol.admin import DeleteGroupsRequest
from aiokafka.structs import ConsumerRecord

T = TypeVar("T")

COMPACTED = {"cleanup.policy": "compact"}

CREATED_SECONDS = 45
"""Time for a topic that a worker creates when it starts, on a loaded machine."""


class Sent(NamedTuple):
    """One record to send. `value` is a row or a plain value to encode, or bytes."""

    key: bytes | str | None
    value: Any
    partition: int | None = None
    headers: list[tuple[str, bytes | None]] = []  # noqa: RUF012 - never changed
    timestamp_ms: int | None = None


async def create(kafka: str, topics: Mapping[str, int], config: Mapping[str, str] | None = None) -> None:
    """Create topics, given as name to partition count, and wait until the brokers know them."""
    async with admin(kafka) as client:
        await client.create_topics(
            [NewTopic(name, count, 1, topic_configs=dict(config or {})) for name, count in topics.items()]
        )
    async with consumer(kafka) as reader:
        for name, count in topics.items():
            await until(lambda name=name, count=count: _known(reader, name, count), 15, f"topic {name}")


async def grow(kafka: str, topic: str, count: int) -> None:
    """Add partitions to a topic, up to `count`."""
    async with admin(kafka) as client:
        answer = await client.create_partitions({topic: NewPartitions(count)})
        assert all(code == 0 for _, code, *_ in answer.topic_errors), answer


async def existing(kafka: str, prefix: str) -> list[str]:
    """Return the topics whose names begin with `prefix`."""
    async with admin(kafka) as client:
        return [name for name in await client.list_topics() if name.startswith(prefix)]


async def delete(kafka: str, *topics: str) -> None:
    async with admin(kafka) as client:
        await client.delete_topics(list(topics))


async def configure(kafka: str, topic: str, config: Mapping[str, str]) -> None:
    async with admin(kafka) as client:
        for answer in await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, dict(config))]):
            assert all(code == 0 for code, *_ in answer.resources), answer


async def cut(kafka: str, topic: str, before: int, config: Mapping[str, str]) -> None:
    """Delete the records of partition 0 before an offset. Afterwards restore the settings of the topic, `config`.

    A broker does not delete records of a topic that is only compacted.
    """
    await configure(kafka, topic, {**config, "cleanup.policy": "delete"})
    async with admin(kafka) as client:
        await until(lambda: _deleted(client, topic, before), 15, f"the new policy of {topic}, which allows deletion")
    await configure(kafka, topic, config)


@asynccontextmanager
async def hanging(
    kafka: str,
    topic: str,
    transactional_id: str,
    key: str = "k",
    value: bytes = b"{}",
    timestamp_ms: int | None = None,
) -> AsyncIterator[None]:
    """Keep a transaction of another producer open in partition 0 during the block."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=transactional_id)
    await producer.start()
    try:
        await producer.begin_transaction()
        await producer.send_and_wait(topic, value, key.encode(), partition=0, timestamp_ms=timestamp_ms)
        yield
        await producer.abort_transaction()
    finally:
        await producer.stop()


async def forget_offsets(kafka: str, group: str) -> None:
    """Delete a group without members, with all its committed offsets, as a broker does after seven days."""
    async with admin(kafka) as client:
        answer = await client._client.send(client._client.get_random_node(), DeleteGroupsRequest([group]))
        assert answer.results == [(group, 0)], answer


async def read_again(kafka: str, group: str, topic: str, partitions: int) -> None:
    """Reset the offsets of a group without members, for one topic, to its start."""
    client = AIOKafkaConsumer(bootstrap_servers=kafka, group_id=group, enable_auto_commit=False)
    await client.start()
    try:
        tps = [TopicPartition(topic, number) for number in range(partitions)]
        client.assign(tps)
        await client.commit(dict.fromkeys(tps, 0))
    finally:
        await client.stop()


@asynccontextmanager
async def admin(kafka: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await client.start()
    try:
        # A broker that has just started may not know its controller yet, and the client would not ask again.
        await until(lambda: _knows_controller(client), 15, "a controller")
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def consumer(kafka: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A reader of committed records without a group."""
    reader = AIOKafkaConsumer(
        bootstrap_servers=kafka,
        group_id=None,
        isolation_level="read_committed",
        enable_auto_commit=False,
        fetch_max_wait_ms=50,  # stopping waits for the fetch in flight
    )
    await reader.start()
    try:
        yield reader
    finally:
        await reader.stop()


async def send(kafka: str, topic: str, records: Iterable[Sent | tuple[Any, Any]], **settings: Any) -> list[int]:
    """Send records in their order, and return their offsets once all are acknowledged."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", linger_ms=5, max_request_size=32 << 20, **settings)
    await producer.start()
    try:
        sent = [
            await producer.send(
                topic,
                key=each.key.encode() if isinstance(each.key, str) else each.key,
                value=encoded(each.value),
                partition=each.partition,
                headers=each.headers or None,
                timestamp_ms=each.timestamp_ms,
            )
            for each in (Sent(*record) for record in records)
        ]
        return [one.offset for one in await asyncio.gather(*sent)]
    finally:
        await producer.stop()


async def fill(kafka: str, topic: str, partition: int, records: Iterable[tuple[str, Any]]) -> None:
    """Send many records to one partition, in whole batches: a hundred thousand in half a second."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", max_batch_size=512 * 1024)
    await producer.start()
    try:
        sent, batch = [], producer.create_batch()
        for key, value in records:
            while batch.append(key=key.encode(), value=encoded(value), timestamp=None) is None:
                sent.append(await producer.send_batch(batch, topic, partition=partition))
                batch = producer.create_batch()
        sent.append(await producer.send_batch(batch, topic, partition=partition))
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


def encoded(value: Any) -> bytes | None:
    return value if value is None or isinstance(value, bytes) else msgspec.json.encode(value)


async def read(kafka: str, topic: str, *, timeout: float = 30) -> list[ConsumerRecord]:
    """Return all committed records of a topic up to its current end, by partition and offset."""
    async with consumer(kafka) as reader:
        count = await until(lambda: _partitions(reader, topic), CREATED_SECONDS, f"topic {topic}")
        tps = [TopicPartition(topic, each) for each in range(count)]
        reader.assign(tps)
        ends = await reader.end_offsets(tps)
        for tp, begin in (await reader.beginning_offsets(tps)).items():
            reader.seek(tp, begin)
        found: list[ConsumerRecord] = []
        deadline = time.monotonic() + timeout
        while any([await reader.position(tp) < ends[tp] for tp in tps]):
            assert time.monotonic() < deadline, f"{topic} could not be read to its end in {timeout} s"
            for records in (await reader.getmany(timeout_ms=200)).values():
                found += records
    return sorted(
        (each for each in found if each.offset < ends[TopicPartition(topic, each.partition)]),
        key=lambda each: (each.partition, each.offset),
    )


async def ends(kafka: str, topic: str) -> dict[int, int]:
    """Return the end of each partition: the offset of its next record."""
    async with consumer(kafka) as reader:
        count = await until(lambda: _partitions(reader, topic), CREATED_SECONDS, f"topic {topic}")
        found = await reader.end_offsets([TopicPartition(topic, each) for each in range(count)])
        return {tp.partition: end for tp, end in found.items()}


async def begins(kafka: str, topic: str) -> dict[int, int]:
    """Return the first offset of each partition. Earlier records were deleted."""
    async with consumer(kafka) as reader:
        count = await until(lambda: _partitions(reader, topic), CREATED_SECONDS, f"topic {topic}")
        found = await reader.beginning_offsets([TopicPartition(topic, each) for each in range(count)])
        return {tp.partition: begin for tp, begin in found.items()}


async def rows(kafka: str, topic: str) -> list[dict[str, Any]]:
    """Return the decoded values of all committed records."""
    return [msgspec.json.decode(record.value) for record in await read(kafka, topic) if record.value is not None]


async def until(look: Callable[[], T | Awaitable[T]], timeout: float, what: str) -> T:
    """Call `look` until its result is true, and return that. Fail after `timeout` with `what` and the last result."""
    deadline = time.monotonic() + timeout
    while True:
        result = look()
        result = await result if isinstance(result, Awaitable) else result
        if result:
            return result
        assert time.monotonic() < deadline, f"waited {timeout} s for {what}; last result: {result!r}"
        await asyncio.sleep(0.05)


async def until_count(
    kafka: str, topic: str, count: int, timeout: float = 30, *, by: str | None = None
) -> list[dict[str, Any]]:
    """Wait until a topic has `count` committed records, or `count` values of the field `by`. Return all values."""

    async def enough() -> list[dict[str, Any]] | None:
        found = await rows(kafka, topic)
        return found if len({row[by] for row in found} if by else found) >= count else None

    return await until(enough, timeout, f"{count} records in {topic}") or []


async def _deleted(client: AIOKafkaAdminClient, topic: str, before: int) -> bool:
    """Delete records; return False while the broker still applies the policy of before."""
    try:
        await client.delete_records({TopicPartition(topic, 0): RecordsToDelete(before)})
    except PolicyViolationError:
        return False
    return True


async def _knows_controller(client: AIOKafkaAdminClient) -> bool:
    if client._client.cluster.controller is None:
        await client._client.force_metadata_update()
    return client._client.cluster.controller is not None


async def _known(reader: AIOKafkaConsumer, topic: str, count: int) -> bool:
    return await _partitions(reader, topic) >= count


async def _partitions(reader: AIOKafkaConsumer, topic: str) -> int:
    """Return the number of partitions of a topic, 0 if no broker answers. A consumer knows only its assigned ones."""
    try:
        cluster = await reader._client.fetch_all_metadata()
    except KafkaError:
        return 0
    return len(cluster.partitions_for_topic(topic) or ())
