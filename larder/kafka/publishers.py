"""Publishes a few records from outside a service. A service itself publishes with `delivery/`."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from larder.kafka.clients import new_producer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiokafka import AIOKafkaProducer

    from larder.config.connection import Connection


@asynccontextmanager
async def publisher(connection: Connection, **settings: Any) -> AsyncIterator[AIOKafkaProducer]:
    """Run a producer that retries without changing the order of records; raises KafkaError and OSError.

    It stops once all records are acknowledged or refused.
    """
    producer = new_producer(connection, **settings)
    try:
        await producer.start()
        yield producer
    finally:
        await producer.stop()
