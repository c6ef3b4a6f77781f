"""Partitions that another worker processes are followed from a real broker for as long as requested."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka.structs import TopicPartition

from larder import OwnerTopic, Row
from larder.clock import now
from larder.config.connection import Connection
from larder.kafka.topic_metadata import describe
from larder.local_tables.follower import SLICE_RECORDS
from larder.local_tables.horizon import LogRange
from larder.local_tables.role import TableRole
from larder.local_tables.standbys import Standbys
from larder.local_tables.table import LocalTable
from larder.store import Phase, Table
from tests.larder.store.samples import small_memory
from tests.support.topics import COMPACTED, Sent, consumer, create, delete, send, until

PATIENCE = 10.0


class Customer(Row):
    customer_id: str


@pytest.fixture
async def table(kafka: str, topic: str, tmp_path: Path) -> AsyncIterator[LocalTable]:
    """Yield a table of a topic with three partitions, none of them open."""
    await create(kafka, {topic: 3}, COMPACTED)
    held = LocalTable(
        Table(OwnerTopic(topic, Customer, key="customer_id", owner="crm"), tmp_path, small_memory(), "partition"),
        TableRole(),
        PATIENCE,
        now,
    )
    held.set_topic(await _topic_id(kafka, topic), 3)
    yield held
    held.close()


async def _topic_id(kafka: str, topic: str) -> str:
    async with consumer(kafka) as reader:
        return (await describe(reader._client, [topic]))[topic].topic_id


@asynccontextmanager
async def following(kafka: str, table: LocalTable) -> AsyncIterator[Standbys]:
    standbys = Standbys(Connection(kafka), {table.topic.name: table})
    running = asyncio.create_task(standbys.run())
    try:
        yield standbys
    finally:
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled(), running.exception()


async def _write(kafka: str, topic: str, count: int, partitions: Collection[int] = (0, 1, 2)) -> None:
    await send(
        kafka,
        topic,
        [
            Sent(f"c{number}", {"customer_id": f"c{number}"}, partition)
            for number in range(count)
            for partition in partitions
        ],
    )


def _phases(table: LocalTable) -> dict[int, Phase]:
    return {partition: table.state(partition).phase for partition in table.partitions}


async def test_the_followed_partitions_can_change_at_any_time(kafka: str, topic: str, table: LocalTable) -> None:
    zero, one, two = (TopicPartition(topic, partition) for partition in range(3))
    await _write(kafka, topic, 10)
    async with following(kafka, table) as standbys:
        standbys.follow([zero, one, TopicPartition("an input", 0)])
        await until(lambda: _phases(table) == {0: Phase.STANDBY, 1: Phase.STANDBY}, 20, "two standbys")
        assert table.position(0) == 10
        standbys.follow([one, two])
        table.close(0)
        await until(lambda: _phases(table) == {1: Phase.STANDBY, 2: Phase.STANDBY}, 20, "two others")
        await _write(kafka, topic, 10)
        await until(lambda: table.position(1) == table.position(2) == 20, 10, "the later rows")
        assert table.counts.repeated == 0
        standbys.follow([])
        table.close()
        standbys.follow([zero])
        await until(lambda: _phases(table) == {0: Phase.STANDBY}, 20, "one again")
        assert table.position(0) == 20


async def test_no_record_is_applied_once_a_partition_is_no_longer_followed(
    kafka: str, topic: str, table: LocalTable
) -> None:
    zero, one = TopicPartition(topic, 0), TopicPartition(topic, 1)
    await _write(kafka, topic, 3 * SLICE_RECORDS, [0])
    given_up = []

    def give_up(_: object) -> None:
        if not given_up:
            standbys.follow([one])
            given_up.append(table.position(0))

    table.changes.listen(give_up)
    async with following(kafka, table) as standbys:
        standbys.follow([zero, one])
        await until(lambda: given_up, 20, "the first slice")
        await _write(kafka, topic, 10, [0, 1])
        await until(lambda: 1 in table.partitions and table.position(1) == 10, 20, "the other partition")
        assert given_up[0] < 3 * SLICE_RECORDS, "more of it had been fetched"
        assert table.position(0) == given_up[0]


async def test_a_promoted_standby_keeps_its_store_and_is_measured_again(
    kafka: str, topic: str, table: LocalTable
) -> None:
    await _write(kafka, topic, 10, [0])
    async with following(kafka, table) as standbys:
        standbys.follow([TopicPartition(topic, 0)])
        await until(lambda: _phases(table) == {0: Phase.STANDBY}, 20, "a standby")
        store = table.stored.shard(0).store
        standbys.follow([])
        table.open([0])
        assert table.resume({0: LogRange(0, 12)}) == {0: 10}
        assert table.stored.shard(0).store is store
        assert not table.at(0).caught_up()
        table.stored.observe(0, 10, now())
        assert table.state(0).phase is Phase.CAUGHT_UP


async def test_a_recreated_topic_is_followed_once_the_table_has_its_id(
    kafka: str, topic: str, table: LocalTable
) -> None:
    await _write(kafka, topic, 10, [0])
    async with following(kafka, table) as standbys:
        standbys.follow([TopicPartition(topic, 0)])
        await until(lambda: _phases(table) == {0: Phase.STANDBY}, 20, "a standby")
        await delete(kafka, topic)
        await create(kafka, {topic: 3}, COMPACTED)
        await _write(kafka, topic, 4, [0])
        table.set_topic(await _topic_id(kafka, topic), 3)
        standbys.check_topics_now()
        await until(lambda: table.position(0) == 4, 20, "the rows of the new topic")
