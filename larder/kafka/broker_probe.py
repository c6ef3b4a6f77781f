"""Whether the broker answers: asked again and again on a connection of its own, whatever else the worker waits for.

What a worker does at a time may wait long and for good reasons; that its broker is away is said all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiokafka.errors import KafkaError

from larder.config.connection import Connection
from larder.kafka.clients import new_client
from larder.kafka.topic_metadata import describe

PULSE_SECONDS = 1.0
"""Between two questions: each is a request of some bytes."""

ANSWER_SECONDS = 2.0
"""An answer takes a millisecond; a broker that is busy, or collects its garbage, is not away yet."""

UNANSWERED = 2
"""So many in a row, each to another broker if there are several: one of them may be restarted."""


async def feel_pulse(connection: Connection, heard: Callable[[], None], missed: Callable[[], None]) -> None:
    """Call `heard` at each answer, and `missed` when there was none for a while; runs until it is cancelled."""
    unanswered = 0

    def answered() -> None:
        nonlocal unanswered
        unanswered = 0
        heard()

    while True:
        try:
            await _ask(connection, answered)
        except (KafkaError, OSError):
            unanswered += 1
            if unanswered >= UNANSWERED:
                missed()
        await asyncio.sleep(PULSE_SECONDS / 2)


async def _ask(connection: Connection, answered: Callable[[], None]) -> None:
    """Ask on one connection until it fails."""
    client = new_client(connection)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await client.bootstrap()
        while True:
            async with asyncio.timeout(ANSWER_SECONDS):
                await describe(client, ())
            answered()
            await asyncio.sleep(PULSE_SECONDS)
    finally:
        await client.close()
