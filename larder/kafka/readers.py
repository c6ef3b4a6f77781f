"""A consumer of no group, to look at what topics have and to leave nothing behind."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal

from larder.kafka.batch_consumer import FETCH_WAIT_MS, BatchConsumer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

REQUEST_TIMEOUT_MS = 10_000
"""For requests that a broker which is well answers in milliseconds; stopping may wait for one."""

Isolation = Literal["read_committed", "read_uncommitted"]


@asynccontextmanager
async def reader(brokers: str, isolation: Isolation = "read_committed") -> AsyncIterator[BatchConsumer]:
    """Have a consumer without a group; raises KafkaError and OSError."""
    consumer = BatchConsumer(
        bootstrap_servers=brokers,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level=isolation,
        fetch_max_wait_ms=FETCH_WAIT_MS,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()
