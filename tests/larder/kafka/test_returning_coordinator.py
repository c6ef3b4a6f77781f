"""A group whose coordinator goes away and comes back in the middle of a rebalance."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.protocol.group import SyncGroupRequest

from larder.config.connection import Connection
from larder.kafka.clients import new_member
from larder.kafka.static_membership import ReplacedError, StaticConsumer
from larder.local_broker import LocalBroker
from larder.local_broker.ports import free_port
from tests.support.topics import create, until


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[LocalBroker]:
    """Yield a broker that a test may start again."""
    broker = LocalBroker(tmp_path, free_port())
    _start(broker)
    yield broker
    broker.stop()


class Held:
    """Holds back what ends a rebalance for a member: then the group does not keep the id that the member got."""

    def __init__(self, consumer: StaticConsumer) -> None:
        self.reached, self.over = asyncio.Event(), asyncio.Event()
        self._send = consumer._coordinator._send_req
        consumer._coordinator._send_req = self._send_later

    async def _send_later(self, request: Any) -> Any:
        if isinstance(request, SyncGroupRequest):
            self.reached.set()
            await self.over.wait()
        return await self._send(request)


async def test_a_member_joins_again_if_the_group_forgot_its_new_id(broker: LocalBroker, topic: str) -> None:
    """A group keeps ids only once a rebalance ends: afterwards it knows this member by the id that it had before."""
    await create(broker.bootstrap, {topic: 1})
    async with _joined(broker, topic, ["usual"]) as consumer:
        await until(consumer.assignment, 30, "its partition")
    async with _joined(broker, topic, ["preferred", "usual"]) as consumer:
        held = Held(consumer)
        await asyncio.wait_for(held.reached.wait(), 30)
        await asyncio.to_thread(_restart, broker)
        held.over.set()
        await until(lambda: _assigned(consumer), 30, "its partition after the broker is back")


async def test_a_member_that_is_replaced_before_the_group_keeps_its_id_ends(broker: LocalBroker, topic: str) -> None:
    await create(broker.bootstrap, {topic: 1})
    async with _joined(broker, topic, ["usual"]) as replaced:
        held = Held(replaced)
        await asyncio.wait_for(held.reached.wait(), 30)
        async with _joined(broker, topic, ["usual"]) as consumer:
            await until(consumer.assignment, 30, "its partition")
            held.over.set()
            with pytest.raises(ReplacedError):
                await until(lambda: _assigned(replaced), 30, "never")
            consumer.check_group()


def _assigned(consumer: StaticConsumer) -> bool:
    consumer.check_group()
    return bool(consumer.assignment())


@asynccontextmanager
async def _joined(broker: LocalBroker, topic: str, protocols: Sequence[str]) -> AsyncIterator[StaticConsumer]:
    """Run a member that stays in the group when it stops, for longer than a test takes."""
    consumer = new_member(
        Connection(broker.bootstrap), StaticConsumer, group_id=topic, group_instance_id="one", stays=True,
        protocols=protocols, partition_assignment_strategy=[RoundRobinPartitionAssignor], enable_auto_commit=False,
        session_timeout_ms=60_000, rebalance_timeout_ms=60_000, metadata_max_age_ms=1_000,
    )  # fmt: skip
    await consumer.start()
    try:
        consumer.subscribe([topic])
        yield consumer
    finally:
        await consumer.stop()


def _restart(broker: LocalBroker) -> None:
    broker.stop()
    _start(broker)


def _start(broker: LocalBroker) -> None:
    broker.start()
    broker.wait_ready()
