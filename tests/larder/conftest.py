"""What tests of the agents' engine share: a producer as a worker has it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiokafka import AIOKafkaProducer

from larder.delivery.delivery import BATCH_BYTES
from larder.worker.runner import LARGEST_REQUEST


@pytest.fixture
async def new_producer(kafka: str) -> AsyncIterator[Callable[[], Awaitable[AIOKafkaProducer]]]:
    """Makes producers as a worker makes them."""
    made = []

    async def new() -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            bootstrap_servers=kafka,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            max_batch_size=BATCH_BYTES,
            max_request_size=LARGEST_REQUEST,
        )
        await producer.start()
        made.append(producer)
        return producer

    yield new
    for producer in made:
        await producer.stop()


@pytest.fixture
async def producer(new_producer: Callable[[], Awaitable[AIOKafkaProducer]]) -> AIOKafkaProducer:
    return await new_producer()
