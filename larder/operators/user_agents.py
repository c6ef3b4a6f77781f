"""Feeds the batches of a topic to a user's agent, one at a time.

A batch is done when the agent requests the next one. Only then may its offset be committed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from larder.counters.operator_counts import AgentCounts
from larder.declaring.agents import AgentDeclaration
from larder.declaring.compiled.field_reader import TooDeepError
from larder.declaring.decoding import decoder
from larder.declaring.problems import LarderError
from larder.declaring.records import Record
from larder.declaring.rows import Row
from larder.operators.context import PartitionContext
from larder.operators.user_code import no_exit

log = logging.getLogger("larder")


class AgentEndedError(LarderError):
    """An agent's function returned."""


@dataclass(frozen=True)
class AgentBatch:
    """Records of one partition, in order; `records` have key, value (bytes), offset, timestamp (ms), headers."""

    topic: str
    partition: int
    records: Sequence[Record]
    row: type[Row]

    def rows(self) -> list[Row | None]:
        """Return the values as typed rows, None for a record without a value; raise ValueError for an invalid one."""
        decode = decoder(self.row)
        try:
            return [None if record.value is None else decode(record.value) for record in self.records]
        except RecursionError:
            raise TooDeepError from None


class Feed:
    """One agent's batches from all partitions of this worker."""

    def __init__(self, counts: AgentCounts | None = None) -> None:
        self.counts = counts or AgentCounts()
        self._batches: asyncio.Queue[tuple[AgentBatch, Callable[[], None]]] = asyncio.Queue(maxsize=1)

    def full(self) -> bool:
        return self._batches.full()

    def offer(self, batch: AgentBatch, done: Callable[[], None]) -> None:
        self._batches.put_nowait((batch, done))

    async def batches(self) -> AsyncIterator[AgentBatch]:
        """Yield the batches over which the agent iterates, without end."""
        while True:
            batch, done = await self._batches.get()
            yield batch
            done()


async def run_agent(agent: AgentDeclaration, feed: Feed) -> None:
    """Run an agent. Raise AgentEndedError if it returns, because no code would take its batches."""
    with no_exit():
        await agent.function(feed.batches())
    message = f"agent {agent.name} of {agent.topic.name} returned: an agent has to iterate over its batches forever"
    raise AgentEndedError(message)


async def abandonable(running: Coroutine[Any, Any, None], seconds: float, name: str) -> None:
    """Run a user's function; when cancelled, wait for it for that many seconds, then continue without it.

    A function may swallow its cancellation. A task group would wait for it forever, and the worker would never end.
    """
    task = asyncio.create_task(running, name=name)
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            log.warning("%s does not end when it is cancelled: continuing without it", name)
        raise
    task.result()


class AgentHandler:
    """A partition of an agent's topic. Batches of an earlier epoch are not counted as done."""

    def __init__(self, at: PartitionContext, row: type[Row], feed: Feed, epoch: Callable[[], int]) -> None:
        self._tp = at.tp
        self._row = row
        self._feed = feed
        self._delivery = at.delivery
        self._epoch = epoch

    def process(self, records: Sequence[Record], position: int) -> None:
        began = self._epoch()

        def done() -> None:
            if self._epoch() == began:
                self._feed.counts.done += len(records)
                self._delivery.done(self._tp, position)

        self._feed.counts.given += len(records)
        self._feed.offer(AgentBatch(self._tp.topic, self._tp.partition, records, self._row), done)

    def busy(self) -> bool:
        return self._feed.full()
