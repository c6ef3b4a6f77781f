"""Metadata requests create no topics, and come a few times a second."""

from __future__ import annotations

import asyncio
import inspect
import re
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import client as aiokafka_client
from aiokafka.admin import client as aiokafka_admin
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import UnknownTopicOrPartitionError
from aiokafka.protocol.metadata import MetadataRequest, MetadataRequest_v4, MetadataRequest_v5
from aiokafka.structs import TopicPartition

import larder
from larder.kafka.metadata_requests import PAUSE
from tests.cluster.stages import GLOBAL, Stage, customer
from tests.support.beside import Beside, loop_beside
from tests.support.brokers import local_broker
from tests.support.topics import COMPACTED, admin, consumer, create, delete, ends, existing, until
from tests.support.workers import running

HOUSE = Path(larder.__file__).parent

AS_SHIPPED = {"auto.create.topics.enable": "true", "num.partitions": "1"}
"""Kafka's defaults, which the local broker changes."""


@pytest.fixture(scope="module")
def creating(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a broker that creates unknown topics."""
    with local_broker(tmp_path_factory.mktemp("creating"), AS_SHIPPED) as address:
        yield address


@pytest.fixture
def beside() -> Iterator[Beside]:
    with loop_beside() as beside:
        yield beside


@pytest.mark.parametrize("version", [MetadataRequest_v4, MetadataRequest_v5])
@pytest.mark.parametrize("topics", [None, [], ["orders"]])
def test_a_metadata_request_forbids_creation(
    version: type[MetadataRequest_v4 | MetadataRequest_v5], topics: list[str] | None
) -> None:
    built = MetadataRequest(topics).build(version)
    assert (built.topics, built.allow_auto_topic_creation) == (topics, False)


def test_the_changed_parts_of_aiokafka_are_the_known_ones() -> None:
    assert list(inspect.signature(MetadataRequest.__init__).parameters) == [
        "self", "topics", "allow_auto_topic_creation",
    ]  # fmt: skip
    for module in (aiokafka_client, aiokafka_admin):
        asked = re.findall(r"MetadataRequest\((.*)\)", inspect.getsource(module))
        assert asked, module
        assert not [each for each in asked if "creation" in each], "a client that says itself whether it creates"


def test_only_one_module_makes_clients_and_it_forbids_creation() -> None:
    made = re.compile(
        r"\b(AIOKafka\w+|BatchConsumer|TransactionalProducer|GroupConsumer)\((?!AIOKafka|BatchConsumer|Static)"
    )
    making = {
        path.relative_to(HOUSE).as_posix()
        for path in HOUSE.rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if made.search(line) and not line.startswith("class ")
    }
    assert making == {"kafka/clients.py"}
    assert "forbid_creation()" in (HOUSE / "kafka" / "__init__.py").read_text(encoding="utf-8")


async def test_no_client_creates_a_topic_by_a_metadata_request(creating: str, prefix: str) -> None:
    client = AIOKafkaClient(bootstrap_servers=creating, request_timeout_ms=500)
    producer = AIOKafkaProducer(bootstrap_servers=creating, request_timeout_ms=500)
    consumer = AIOKafkaConsumer(bootstrap_servers=creating, request_timeout_ms=500)
    await asyncio.gather(client.bootstrap(), producer.start(), consumer.start())
    try:
        for asking, what in ((client, "looked-at"), (producer.client, "written"), (consumer._client, "read")):
            with pytest.raises(UnknownTopicOrPartitionError):
                await asking._wait_on_metadata(f"{prefix}.{what}")
        async with admin(creating) as asking:
            await asking.describe_topics([f"{prefix}.described"])
        assert await existing(creating, prefix) == []
    finally:
        await asyncio.gather(client.close(), producer.stop(), consumer.stop())


async def test_a_consumer_polls_a_few_times_a_second_for_a_missing_leader(
    creating: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = f"{prefix}.deleted"
    await create(creating, {topic: 1})
    async with consumer(creating) as reader:
        reader.assign([TopicPartition(topic, 0)])
        reader.seek(TopicPartition(topic, 0), 0)
        await delete(creating, topic)
        times: list[float] = []
        update = AIOKafkaClient._metadata_update

        async def counted(*args: Any) -> bool:
            times.append(time.monotonic())
            return await update(*args)

        monkeypatch.setattr(AIOKafkaClient, "_metadata_update", counted)
        reading = asyncio.ensure_future(reader.getmany(timeout_ms=10_000))
        await until(lambda: len(times) >= 6, 10, "requests for metadata")
        reading.cancel()
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert min(gaps[1:]) >= PAUSE * 0.9, gaps


def test_a_worker_does_not_create_again_what_its_owner_deleted(
    creating: str, prefix: str, beside: Beside, tmp_path: Path
) -> None:
    stage = Stage(creating, prefix, beside, tmp_path, partitions=4)
    stage.send("customers", [customer(f"c{number}") for number in range(9)])
    worker = stage.worker(GLOBAL, missing="PassOn")
    deleted = {stage.name("customers"), stage.name("orders")}
    with running(worker):
        worker.until_caught_up()
        beside.call(delete(creating, *deleted))
        worker.until_logged(r"customers partition 0: disconnected")
        assert not deleted & set(beside.call(existing(creating, prefix)))
        stage.create_again("customers", COMPACTED)
        assert set(beside.call(ends(creating, stage.name("customers")))) == {0, 1, 2, 3}
