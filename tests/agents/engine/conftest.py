"""What tests of the agents' engine share: a producer as a worker has it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer

from agents.engine.publishing import BATCH_BYTES
from agents.engine.running import LARGEST_REQUEST


@pytest.fixture
async def producer(kafka: str) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka,
        acks="all",
        enable_idempotence=True,
        linger_ms=0,
        max_batch_size=BATCH_BYTES,
        max_request_size=LARGEST_REQUEST,
    )
    await producer.start()
    yield producer
    await producer.stop()
