"""Ids of topics, by a request that aiokafka does not have."""

from __future__ import annotations

from uuid import UUID

from aiokafka.client import AIOKafkaClient

from larder.config.connection import Connection
from larder.kafka.admin import Cluster
from larder.kafka.topic_metadata import Copies, copies, describe
from tests.cluster.stages import create_again
from tests.support.topics import create, until


async def test_existing_topics_are_described_by_id_and_partitions(kafka: str, prefix: str) -> None:
    await create(kafka, {f"{prefix}.one": 1, f"{prefix}.four": 4})
    client = AIOKafkaClient(bootstrap_servers=kafka)
    await client.bootstrap()
    try:
        found = await describe(client, [f"{prefix}.one", f"{prefix}.four", f"{prefix}.none"])
        assert {name: topic.partitions for name, topic in found.items()} == {f"{prefix}.one": 1, f"{prefix}.four": 4}
        ids = {UUID(topic.topic_id) for topic in found.values()}
        assert len(ids) == 2
        assert UUID(int=0) not in ids
        assert await describe(client, []) == {}
    finally:
        await client.close()


async def test_the_replication_of_topics_is_described(kafka: str, topic: str) -> None:
    await create(kafka, {topic: 3})
    client = AIOKafkaClient(bootstrap_servers=kafka)
    await client.bootstrap()
    try:
        assert await copies(client, [topic, f"{topic}.none"]) == {topic: Copies(1, ())}
    finally:
        await client.close()


async def test_settings_of_topics_and_brokers_include_defaults(kafka: str, topic: str) -> None:
    await create(kafka, {topic: 1}, {"cleanup.policy": "compact"})
    async with Cluster(Connection(kafka)) as cluster:
        found = await cluster.topic_settings([topic])
        assert (found[topic]["cleanup.policy"], found[topic]["min.insync.replicas"]) == ("compact", "1")
        assert await cluster.topic_settings([]) == {}
        assert int((await cluster.broker_settings())["offsets.retention.minutes"]) > 0
        assert cluster.brokers_up() >= 1


async def test_a_topic_that_is_deleted_and_created_again_has_another_id(kafka: str, topic: str) -> None:
    await create(kafka, {topic: 1})
    client = AIOKafkaClient(bootstrap_servers=kafka)
    await client.bootstrap()
    try:
        before = (await describe(client, [topic]))[topic]
        await create_again(kafka, topic, 2)

        async def after() -> str | None:
            found = (await describe(client, [topic])).get(topic)
            return found.topic_id if found is not None and found.partitions == 2 else None

        assert await until(after, 10, "the new topic") != before.topic_id
    finally:
        await client.close()
