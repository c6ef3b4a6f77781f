"""Waits that end: what takes too long is an error that may be tried again, and says what was waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka.errors import KafkaTimeoutError


@asynccontextmanager
async def within(seconds: float, what: str) -> AsyncIterator[None]:
    """Raise KafkaTimeoutError where the body takes longer."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        message = f"waited {seconds:g} s for {what}"
        raise KafkaTimeoutError(message) from error
