"""Probes whether the broker answers.

A worker probes its broker on a separate connection. So it notices within seconds that the broker is unreachable,
whatever its other requests are waiting for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest

from larder.config.connection import Connection
from larder.kafka.clients import connect, new_client
from larder.kafka.topic_metadata import describe

PROBE_SECONDS = 1.0
"""The time between two probes: each is a request of a few bytes."""

ANSWER_SECONDS = 2.0
"""An answer takes a millisecond; a broker that is busy or collects garbage may take longer."""

UNANSWERED = 2
"""Failed probes in a row before the broker counts as unreachable. With several brokers each probe goes to another one,
and one of them may be restarting."""


async def answers(connection: Connection) -> bool:
    """Return whether the broker at the first address serves requests; an open port alone proves nothing."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            broker = await connect(connection)
            try:
                metadata = await broker.send(MetadataRequest([]))
            finally:
                broker.close()
    except (OSError, KafkaError):
        return False
    return bool(metadata.brokers)


def answers_now(connection: Connection) -> bool:
    """Return the same as `answers`, for code without an event loop."""
    return asyncio.run(answers(connection))


async def probe(connection: Connection, heard: Callable[[], None], missed: Callable[[], None]) -> None:
    """Call `heard` after each answer and `missed` after each failure that follows another; run until cancelled."""
    unanswered = 0

    def answered() -> None:
        nonlocal unanswered
        unanswered = 0
        heard()

    while True:
        try:
            await _probe_until_failure(connection, answered)
        except (KafkaError, OSError):
            unanswered += 1
            if unanswered >= UNANSWERED:
                missed()
        await asyncio.sleep(PROBE_SECONDS / 2)


async def _probe_until_failure(connection: Connection, answered: Callable[[], None]) -> None:
    client = new_client(connection)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await client.bootstrap()
        while True:
            async with asyncio.timeout(ANSWER_SECONDS):
                await describe(client, ())
            answered()
            await asyncio.sleep(PROBE_SECONDS)
    finally:
        await client.close()
