"""Creates all Kafka clients, so that they all connect to the brokers in the same way.

The caller starts and stops the client.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, TypeVar

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection, create_conn

from larder.config.connection import Connection
from larder.kafka.batch_consumer import FETCH_WAIT_MS, BatchConsumer
from larder.kafka.transactions import TransactionalProducer

Kind = TypeVar("Kind", bound=BatchConsumer)

REQUEST_BYTES: Final = 16 * 1024 * 1024
"""The most that a producer sends at once: a record of our largest topic (8 MiB), with room to spare."""

REQUEST_TIMEOUT_MS = 10_000
"""For clients outside a service: a healthy broker answers in milliseconds, and stopping may wait for a request."""


def new_consumer(connection: Connection, **settings: Any) -> BatchConsumer:
    """Make a consumer of committed records, without a group, that never resets a position on its own."""
    usual = {
        "group_id": None,
        "enable_auto_commit": False,
        "auto_offset_reset": "none",
        "isolation_level": "read_committed",
        "fetch_max_wait_ms": FETCH_WAIT_MS,
    }
    return BatchConsumer(**connection.settings, **{**usual, **settings})


def new_member(connection: Connection, kind: type[Kind], **settings: Any) -> Kind:
    """Make a consumer that is a member of a group."""
    return kind(**connection.settings, **settings)


def new_producer(connection: Connection, **settings: Any) -> AIOKafkaProducer:
    """Make a producer that writes in order and without duplicates, acknowledged by all replicas."""
    return AIOKafkaProducer(**connection.settings, **{"acks": "all", "enable_idempotence": True, **settings})


def new_transactional_producer(
    connection: Connection, transactional_id: str, timeout_ms: int, **settings: Any
) -> TransactionalProducer:
    """Make a producer whose transactions the broker ends after `timeout_ms`."""
    return TransactionalProducer(transactional_id, timeout_ms, **connection.settings, **settings)


def new_admin(connection: Connection, **settings: Any) -> AIOKafkaAdminClient:
    """Make an admin client."""
    return AIOKafkaAdminClient(**connection.settings, **settings)


def new_client(connection: Connection) -> AIOKafkaClient:
    """Make a bare client, for single requests."""
    return AIOKafkaClient(**connection.settings)


async def connect(connection: Connection) -> AIOKafkaConnection:
    """Open one bare connection, to the first address; raises OSError and KafkaError."""
    settings = connection.settings
    host, _, port = settings.pop("bootstrap_servers").split(",")[0].rpartition(":")
    return await create_conn(host, int(port), **settings)


async def end_transaction(connection: Connection, transactional_id: str) -> None:
    """End the open transaction of a dead producer now, not at its timeout."""
    producer = new_transactional_producer(connection, transactional_id, 1_000)
    try:
        async with asyncio.timeout(5):
            await producer.start()
    finally:
        await producer.discard()
