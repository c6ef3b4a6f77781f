"""Bounded waits and retries: which errors are temporary, and which are mistakes."""

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
"""Pause before the next request to an unreachable broker, or for a missing topic."""

SAID_SECONDS = 5.0
"""The time between two log lines about a broker that does not answer."""


@asynccontextmanager
async def within(seconds: float, what: str) -> AsyncIterator[None]:
    """Raise KafkaTimeoutError if the block takes longer."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        message = f"waited {seconds:g} s for {what}"
        raise KafkaTimeoutError(message) from error


async def answered(ask: Callable[[], Awaitable[T]]) -> T:
    """Retry until the broker answers, with a log line now and then; raise any error that no retry can resolve."""
    said_at = time.monotonic()
    while True:
        try:
            return await ask()
        except (KafkaError, OSError) as error:
            if not is_passing(error):
                raise
            if time.monotonic() - said_at > SAID_SECONDS:
                said_at = time.monotonic()
                log.warning("the broker does not do what it is asked for: trying again (%r)", error)
        await asyncio.sleep(RETRY_SECONDS)


def is_passing(error: KafkaError | OSError) -> bool:
    """Return whether a retry may help: if the broker is unreachable or not ready yet, but not after a mistake."""
    if isinstance(error, OSError | KafkaTimeoutError) or error.retriable:
        return True
    # aiokafka's producer wraps the error that interrupted its search for a coordinator in one that says nothing.
    cause = error.__cause__
    return type(error) is KafkaError and isinstance(cause, KafkaError | OSError) and is_passing(cause)
