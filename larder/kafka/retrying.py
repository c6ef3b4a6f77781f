"""Waits that end, and questions that are asked again: what may be tried again, and what is a mistake."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from aiokafka.errors import KafkaError, KafkaTimeoutError

log = logging.getLogger("larder")

T = TypeVar("T")

RETRY_SECONDS = 0.5
"""How long to wait before a broker that was away, or a topic that was missing, is asked for again."""

SAID_SECONDS = 5.0
"""Between two lines about a broker that does not do what it is asked for."""


@asynccontextmanager
async def within(seconds: float, what: str) -> AsyncIterator[None]:
    """Raise KafkaTimeoutError where the body takes longer."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        message = f"waited {seconds:g} s for {what}"
        raise KafkaTimeoutError(message) from error


async def answered(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until the broker answers, saying so now and then: one that is away is waited for, a mistake is raised."""
    said_at = time.monotonic()
    while True:
        try:
            return await ask()
        except (KafkaError, OSError) as error:
            if not is_passing(error):
                raise
            if time.monotonic() - said_at > SAID_SECONDS:
                said_at = time.monotonic()
                log.warning("the broker does not do what it is asked for: it is asked again (%r)", error)
        await asyncio.sleep(RETRY_SECONDS)


def is_passing(error: KafkaError | OSError) -> bool:
    """A broker that is away, or is not ready yet, may be asked again; a mistake may not."""
    if isinstance(error, OSError | KafkaTimeoutError) or error.retriable:
        return True
    # aiokafka's producer wraps what cut off its search for a coordinator, and the wrapping says nothing.
    cause = error.__cause__
    return type(error) is KafkaError and isinstance(cause, KafkaError | OSError) and is_passing(cause)
