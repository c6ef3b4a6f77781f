"""Preparation on a real broker: topics are checked, waited for, created, and refused with all reasons."""

from __future__ import annotations

import asyncio
import socket

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    NodeNotReadyError,
    TopicAuthorizationFailedError,
)

from larder import DeadLetter, EventTopic, OwnerTopic, PassOn, Row, Service, Wait
from larder.assembly.plan import plan
from larder.config.connection import Connection
from larder.declaring.problems import DeclarationError
from larder.kafka.admin import Cluster
from larder.kafka.retrying import is_passing
from larder.worker.prepare import prepare
from tests.support.topics import COMPACTED, create, until


class Customer(Row):
    customer_id: str


class Order(Row):
    order_id: str
    customer_id: str


class Joined(Order):
    customer: Customer | None


def shop(prefix: str, *, by_partition: bool = False, partitions: int = 3) -> Service:
    service = Service(prefix)
    topic = OwnerTopic(f"{prefix}.customers", Customer, key="customer_id", owner="crm", partitions=partitions)
    orders = EventTopic(f"{prefix}.orders", Order, key="order_id", owner="checkout")
    into = EventTopic(f"{prefix}.joined", Joined, key="order_id", partitions=2)
    if by_partition:
        service.join(orders.by("customer_id"), service.table(topic), into=into, missing=PassOn)
    else:
        lookup = service.global_table(topic).on("customer_id")
        service.join(orders, lookup, into=into, missing=Wait(5).then(DeadLetter))
    return service


def unused_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def test_own_topics_are_created_as_declared_once_those_of_others_exist(kafka: str, prefix: str) -> None:
    reported: list[str] = []
    preparing = asyncio.create_task(prepare(shop(prefix), Connection(kafka), reported.append))
    await until(lambda: reported, 15, "a line")
    assert reported[0] == f"waiting for topics of other owners: {prefix}.customers, {prefix}.orders"
    await create(kafka, {f"{prefix}.customers": 5}, COMPACTED)
    await create(kafka, {f"{prefix}.orders": 7})
    facts = (await asyncio.wait_for(preparing, 20)).facts
    assert {
        name.removeprefix(f"{prefix}."): (fact.partitions, fact.cleanup_policy) for name, fact in facts.items()
    } == {
        "customers": (5, "compact"),
        "orders": (7, "delete"),
        "orders.replays": (7, "delete"),
        "joined": (2, "delete"),
        "dead-letters": (4, "delete"),
        f"{prefix}.joined.waiting": (7, "compact"),
    }
    assert facts[f"{prefix}.dead-letters"].max_message_bytes == 8 << 20
    assert len({fact.topic_id for fact in facts.values()}) == 6
    planned = plan(shop(prefix), facts)
    assert planned.dead_letters == (f"{prefix}.dead-letters", 4, 8 << 20)
    assert planned.group_topics == [
        f"{prefix}.{prefix}.joined.waiting", f"{prefix}.orders", f"{prefix}.orders.replays",
    ]  # fmt: skip


async def test_a_rekeyed_topic_gets_the_partition_count_of_the_table_it_joins(kafka: str, prefix: str) -> None:
    await create(kafka, {f"{prefix}.customers": 5}, COMPACTED)
    await create(kafka, {f"{prefix}.orders": 7})
    facts = (await prepare(shop(prefix, by_partition=True), Connection(kafka), print)).facts
    assert facts[f"{prefix}.{prefix}.orders.by.customer_id"].partitions == 5


async def test_a_state_is_created_with_the_partition_count_of_its_source_once_that_exists(
    kafka: str, prefix: str
) -> None:
    reported: list[str] = []
    state = OwnerTopic(f"{prefix}.counted", Customer, key="customer_id")
    service = Service(prefix)
    orders = EventTopic(f"{prefix}.orders", Order, key="customer_id", owner="checkout")
    service.fold(orders, state=service.table(state))(lambda order, row: row or Customer(customer_id=order.customer_id))
    preparing = asyncio.create_task(prepare(service, Connection(kafka), reported.append))
    await until(lambda: reported, 15, "a line")
    async with Cluster(Connection(kafka)) as cluster:
        assert state.name not in await cluster.facts([state.name])
    await create(kafka, {orders.name: 2})
    facts = (await asyncio.wait_for(preparing, 20)).facts
    assert facts[state.name].partitions == 2


async def test_existing_topics_are_left_unchanged(kafka: str, prefix: str) -> None:
    await create(kafka, {f"{prefix}.customers": 1}, COMPACTED)
    await create(kafka, {f"{prefix}.orders": 1, f"{prefix}.joined": 9}, {"max.message.bytes": "5000"})
    facts = (await prepare(shop(prefix), Connection(kafka), print)).facts
    assert (facts[f"{prefix}.joined"].partitions, facts[f"{prefix}.joined"].max_message_bytes) == (9, 5_000)
    assert (await prepare(shop(prefix), Connection(kafka), print)).facts == facts


async def test_all_mismatches_are_reported_together_and_nothing_is_created(kafka: str, prefix: str) -> None:
    await create(kafka, {f"{prefix}.customers": 2, f"{prefix}.{prefix}.orders.by.customer_id": 3})
    await create(kafka, {f"{prefix}.orders": 1}, COMPACTED)
    with pytest.raises(DeclarationError) as refused:
        await prepare(shop(prefix, by_partition=True), Connection(kafka), print)
    message = str(refused.value)
    assert "an owner topic requires cleanup.policy=compact" in message
    assert "an event topic requires cleanup.policy=delete" in message
    async with Cluster(Connection(kafka)) as cluster:
        assert f"{prefix}.joined" not in await cluster.facts([f"{prefix}.joined"])


async def test_a_worker_waits_for_an_unreachable_broker(prefix: str) -> None:
    reported: list[str] = []
    address = f"127.0.0.1:{unused_port()}"
    waiting = asyncio.create_task(prepare(shop(prefix), Connection(address), reported.append))
    await until(lambda: len(reported) > 1, 15, "two lines")
    assert set(reported) == {f"waiting for the broker at {address}"}
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_two_workers_can_create_the_same_topics_at_once(kafka: str, prefix: str) -> None:
    await create(kafka, {f"{prefix}.customers": 1}, COMPACTED)
    await create(kafka, {f"{prefix}.orders": 1})
    one, other = await asyncio.gather(*(prepare(shop(prefix), Connection(kafka), print) for _ in range(2)))
    assert one[1:] == other[1:]


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (ConnectionRefusedError(), True),
        (KafkaTimeoutError(), True),
        (NodeNotReadyError(), True),
        (TopicAuthorizationFailedError(), False),
    ],
)
def test_temporary_errors_are_distinguished_from_permanent_ones(error: Exception, *, passing: bool) -> None:
    assert is_passing(error) is passing  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cause", "passing"),
    [(KafkaConnectionError("closed"), True), (ConnectionResetError(), True), (TopicAuthorizationFailedError(), False)],
)
def test_an_error_wrapped_by_aiokafka_is_retried_if_its_cause_is_temporary(cause: Exception, *, passing: bool) -> None:
    """Raise as the producer does, which wraps any error that interrupts the search for its coordinator."""
    wrapped = KafkaError(repr(cause))
    wrapped.__cause__ = cause
    assert is_passing(wrapped) is passing
