"""A consumer of no group, to look at what topics have and to leave nothing behind."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal

from larder.kafka.clients import new_consumer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from larder.config.connection import Connection
    from larder.kafka.batch_consumer import BatchConsumer

REQUEST_TIMEOUT_MS = 10_000
"""For requests that a broker which is well answers in milliseconds; stopping may wait for one."""

Isolation = Literal["read_committed", "read_uncommitted"]


@asynccontextmanager
async def reader(connection: Connection, isolation: Isolation = "read_committed") -> AsyncIterator[BatchConsumer]:
    """Have a consumer without a group; raises KafkaError and OSError."""
    consumer = new_consumer(connection, isolation_level=isolation, request_timeout_ms=REQUEST_TIMEOUT_MS)
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()
