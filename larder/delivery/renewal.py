"""Replaces one guarantee by the next, and starts and stops their producers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Self

from aiokafka.errors import KafkaError

from larder.declaring.problems import Problem
from larder.delivery.guarantees import Guarantee

log = logging.getLogger("larder")

START_SECONDS: Final = 10.0
"""How long a producer may take to start before that is logged and retried."""

STOP_SECONDS: Final = 2.5
"""How long a producer may take to stop: a worker has ten seconds in all to stop."""

_NO_COORDINATOR: Final = Problem(
    "publishing",
    "requires a broker that assigns producer ids and coordinates transactions",
    f"no answer within {START_SECONDS:g} s; this is retried",
    "a cluster of less than three brokers needs transaction.state.log.replication.factor=1 and"
    ' transaction.state.log.min.isr=1; or set guarantee = "at_least_once"',
)


class Renewal:
    """Keeps one guarantee at a time, created by `new`, and stops the last one at the end."""

    def __init__(self, new: Callable[[], Guarantee]) -> None:
        self._new = new
        self._current: Guarantee | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    async def renew(self) -> Guarantee:
        """Replace the guarantee by one with a new producer; raise KafkaError or TimeoutError."""
        await self._stop()
        self._current = current = self._new()
        try:
            async with asyncio.timeout(START_SECONDS):
                await current.producer.start()
        except TimeoutError:
            log.warning("%s", _NO_COORDINATOR)
            raise
        return current

    async def _stop(self) -> None:
        """Stop the current producer, even if it did not start."""
        current, self._current = self._current, None
        if current is None:
            return
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await current.stop()
        except TimeoutError:
            log.warning("outputs could not be sent within %g s: stopping anyway", STOP_SECONDS)
        except KafkaError as error:
            log.warning("a producer did not stop cleanly: %r", error)
