"""Writes to topics on behalf of other services, and records each write."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from tests.faults.history import History, Written
from tests.faults.posting import Poster
from tests.support.topics import encoded


class Writer:
    """Sends records, and keeps what was sent, when, and where it is. With `often`, one in ten is sent twice.

    `poster` sends requests to workers.
    """

    def __init__(
        self, producer: AIOKafkaProducer, history: History, chance: random.Random, poster: Poster, *, often: bool
    ) -> None:
        self.poster = poster
        self._producer = producer
        self._history = history
        self._chance = chance
        self._often = often

    async def send(self, topic: str, key: str, value: dict[str, Any] | None, revision: int | None = None) -> None:
        """Send a record. Return once it is acknowledged or given up."""
        for _ in range(2 if self._often and self._chance.random() < 0.1 else 1):
            sent = time.time()
            written = Written(topic, key, value, revision, sent)
            headers = [("larder.revision", str(revision).encode())] if value is None else None
            try:
                at = await self._producer.send_and_wait(topic, encoded(value), key.encode(), headers=headers)
                written = written._replace(acked=time.time(), partition=at.partition, offset=at.offset)
            except KafkaError as error:
                self._history.note(f"{topic} {key}: {error!r}")
            finally:
                # Given up, or cut off by the end of the load: the log will show whether it was written.
                self._history.written.append(written)


@asynccontextmanager
async def producing(kafka: str) -> AsyncIterator[AIOKafkaProducer]:
    """Yield a producer that survives a restart of the broker."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", enable_idempotence=True, linger_ms=1)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()
