"""Runs the calls of a worker as long as its process lives, and publishes their outcomes.

Outcomes go out apart from the units of the service, since no unit may wait for what is outside.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final
from uuid import uuid4

from larder.config.connection import Connection
from larder.declaring.compiled.calls import CompiledCall
from larder.delivery.output import Output
from larder.kafka.publishers import RenewedPublisher
from larder.operators.calls.outside import Outside
from larder.operators.calls.remote_rows import FetchRow

log = logging.getLogger("larder")

PUBLISH_SECONDS: Final = 60.0
"""How long a worker tries to publish an outcome before it leaves it to the call's partition to ask for it again."""

STOP_SECONDS: Final = 2.0
"""How long the worker waits for running calls when it stops."""


class Callers:
    """What runs calls in this worker, by the name of the call; `fetch` reads the rows of other services for them."""

    def __init__(self, connection: Connection, worker: str, clock: Callable[[], float], fetch: FetchRow) -> None:
        self._publisher = RenewedPublisher(connection)
        self._worker = worker
        self._run = uuid4().hex
        self._clock = clock
        self._fetch = fetch
        self._callers: dict[str, Outside] = {}

    def of(self, compiled: CompiledCall, outcomes: Output) -> Outside:
        """Return what runs a call; it stays the same when the service is planned again."""
        name = compiled.call.name
        if name not in self._callers:
            self._callers[name] = Outside(
                compiled, outcomes, self._worker, self._run, self._clock, self._publish, self._fetch
            )
        found = self._callers[name]
        found.compiled = compiled
        found.move_to(outcomes)
        return found

    def known(self, name: str) -> Outside | None:
        """Return what runs the call of that name; None before the first assignment."""
        return self._callers.get(name)

    def renew(self) -> None:
        """Give up the places of calls whose beginning was not committed: a new assignment begins."""
        for each in self._callers.values():
            each.renew()

    async def stop(self) -> None:
        """Begin no more calls, and wait a little for those that run, and for their outcomes."""
        await asyncio.gather(*(each.stop(STOP_SECONDS) for each in self._callers.values()))
        await self._publisher.close()

    async def _publish(self, topic: str, key: bytes, value: bytes) -> None:
        if not await self._publisher.publish(topic, key, value, PUBLISH_SECONDS):
            log.warning("an outcome could not be published into %s within %g s", topic, PUBLISH_SECONDS)
