"""What tests of the agents' engine share: a producer as a worker has it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiokafka import AIOKafkaProducer

from larder.config.connection import Connection
from larder.delivery.guarantees import PRODUCER_SETTINGS
from larder.kafka import clients


@pytest.fixture
async def new_producer(kafka: str) -> AsyncIterator[Callable[[], Awaitable[AIOKafkaProducer]]]:
    """Makes producers as a worker makes them."""
    made = []

    async def new() -> AIOKafkaProducer:
        producer = clients.new_producer(Connection(kafka), **PRODUCER_SETTINGS)
        await producer.start()
        made.append(producer)
        return producer

    yield new
    for producer in made:
        await producer.stop()


@pytest.fixture
async def producer(new_producer: Callable[[], Awaitable[AIOKafkaProducer]]) -> AIOKafkaProducer:
    return await new_producer()
