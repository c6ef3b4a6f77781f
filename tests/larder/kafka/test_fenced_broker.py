"""A broker that answers while its controller has fenced it: it is in no metadata, not even in its own."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import NodeNotReadyError

from larder.config.connection import Connection
from larder.declaring.topology import TopicUse
from larder.kafka import coordinator_lookups
from larder.kafka.admin import Cluster
from larder.kafka.broker_probe import answers
from larder.kafka.clients import new_client, new_transactional_producer
from tests.support.brokers import local_broker
from tests.support.topics import existing, until

COMES_AND_GOES = {"broker.heartbeat.interval.ms": "6000", "broker.session.timeout.ms": "3000"}
"""The controller misses the broker three seconds after each of its reports, and hears from it three seconds later."""


@pytest.fixture(scope="module")
def fenced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """The connection to a broker that its controller fences again and again."""
    with local_broker(tmp_path_factory.mktemp("fenced"), COMES_AND_GOES) as address:
        yield Connection(address)


async def test_a_producer_starts_once_its_broker_is_back(fenced: Connection, topic: str) -> None:
    await _until_it_goes(fenced)
    producer = new_transactional_producer(fenced, topic, 10_000)
    try:
        await asyncio.wait_for(producer.start(), 30)
    finally:
        await producer.discard()


async def test_a_search_for_a_coordinator_can_be_retried_while_there_is_no_broker(fenced: Connection) -> None:
    await _until_it_goes(fenced)
    client = new_client(fenced)
    try:
        await client.bootstrap()
        with pytest.raises(NodeNotReadyError):
            await client.coordinator_lookup(0, "group")
    finally:
        await client.close()


async def test_a_topic_gets_the_replicas_that_its_cluster_has_when_it_is_created(
    fenced: Connection, topic: str
) -> None:
    await _until_it_goes(fenced)
    async with Cluster(fenced) as cluster:
        assert cluster.brokers_up() == 0
        await _until_it_comes(fenced)
        await cluster.create([_use(topic)])
    assert await existing(fenced.settings["bootstrap_servers"], topic) == [topic]


async def test_creating_a_topic_can_be_retried_if_its_broker_has_gone_away(fenced: Connection, topic: str) -> None:
    await _until_it_comes(fenced)
    async with Cluster(fenced) as cluster:
        await _until_it_goes(fenced)
        with pytest.raises(NodeNotReadyError, match="replication factor 1"):
            await cluster.create([_use(topic)])


def _use(topic: str) -> TopicUse:
    return TopicUse(topic, (), owned=True, compacted=False, partitions=1)


async def _until_it_goes(connection: Connection) -> None:
    """Wait until the broker was there and is fenced now, so that it will be away for about three seconds."""
    await _until_it(connection, answers_=True)
    await _until_it(connection, answers_=False)


async def _until_it_comes(connection: Connection) -> None:
    """Wait until the broker was fenced and is back now, so that it will be there for about three seconds."""
    await _until_it(connection, answers_=False)
    await _until_it(connection, answers_=True)


async def _until_it(connection: Connection, *, answers_: bool) -> None:
    async def done() -> bool:
        return await answers(connection) == answers_

    await until(done, 20, "a broker that answers" if answers_ else "a broker that is fenced")


def test_the_changed_part_of_aiokafka_is_the_known_one() -> None:
    assert AIOKafkaClient.coordinator_lookup is coordinator_lookups._lookup_at_a_broker
    assert list(inspect.signature(coordinator_lookups._lookup).parameters) == [
        "self", "coordinator_type", "coordinator_key",
    ]  # fmt: skip
    assert "assert node_id is not None" in inspect.getsource(coordinator_lookups._lookup)
