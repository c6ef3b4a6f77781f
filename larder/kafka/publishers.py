"""Publishes a few records apart from the units of a service, which publishes with `delivery/` itself."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from aiokafka.errors import KafkaError

from larder.kafka.clients import REQUEST_BYTES, new_producer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiokafka import AIOKafkaProducer

    from larder.config.connection import Connection

log = logging.getLogger("larder")

ANSWER_SECONDS: Final = 10.0
"""How long one try to publish a record may take."""

PAUSE_SECONDS: Final = 0.5
"""The pause between two tries."""


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


class RenewedPublisher:
    """A producer that is replaced after any error: an idempotent one may have lost its place in a partition."""

    def __init__(self, connection: Connection) -> None:
        """Start without a connection."""
        self._connection = connection
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def publish(self, topic: str, key: bytes, value: bytes, seconds: float) -> bool:
        """Publish a record at least once, partitioned by its key; return False if that takes longer than `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    if await self._taken(topic, key, value):
                        return True
                    await asyncio.sleep(PAUSE_SECONDS)
        return False

    async def close(self) -> None:
        """Stop the producer."""
        if self._producer is not None:
            await self._discard(self._producer)

    async def _taken(self, topic: str, key: bytes, value: bytes) -> bool:
        producer: AIOKafkaProducer | None = None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                producer = await self._started()
                await producer.send_and_wait(topic, value, key)
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("a record was not taken by %s (%r): it is sent again", topic, error)
            if producer is not None:
                await self._discard(producer)
            return False
        return True

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = new_producer(
                    self._connection, request_timeout_ms=int(ANSWER_SECONDS * 1000), max_request_size=REQUEST_BYTES
                )
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer

    async def _discard(self, producer: AIOKafkaProducer) -> None:
        """Stop a producer in the background: it may wait for a broker that does not answer."""
        if producer is self._producer:
            self._producer = None
        stopping = asyncio.create_task(producer.stop(), name="stopping a producer")
        with suppress(TimeoutError, KafkaError, OSError):
            async with asyncio.timeout(PAUSE_SECONDS):
                await asyncio.shield(stopping)
