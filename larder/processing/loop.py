"""The loop that runs every lane of a worker, slice by slice, and closes units of delivery.

There is only one loop, so a unit closes only when each record is either processed by all declarations on its partition,
or not started. Tables come first, so that joins see rows as early as possible. Batches of an earlier epoch are dropped.
The module knows neither Faust nor what the handlers do.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from aiokafka.structs import TopicPartition

from larder.counters.traffic import Traffic
from larder.delivery.delivery import Delivery
from larder.delivery.unit import Unit
from larder.kafka.batch_consumer import Batch
from larder.processing.lanes import Lane
from larder.processing.pace import Pace

IDLE_SECONDS = 0.05
"""How long the idle loop sleeps at most: chores that wait for a time run this often."""


class Chore(Protocol):
    """Work that waits for a time or is done in the background, a slice at a time."""

    def tick(self, now: float) -> bool:
        """Do a slice of due work, and return whether there is more; `now` is in seconds since the epoch."""


class Processing:
    """Lanes by partition, their epoch, and the loop over them. After `abandon`, the delivery must be renewed."""

    def __init__(
        self,
        delivery: Delivery,
        clock: Callable[[], float],
        commit_interval: float,
        traffic: Traffic | None = None,
    ) -> None:
        self.delivery = delivery
        self._clock = clock
        self._pace = Pace(commit_interval, clock())
        self._lanes: dict[TopicPartition, Lane] = {}
        self._order: list[Lane] = []
        self._chores: tuple[Chore, ...] = ()
        self._settling: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._running = asyncio.Lock()
        self._cut_short = False
        self.epoch = 0
        self.processed = 0
        self.traffic = traffic or Traffic()

    @property
    def assigned(self) -> Collection[TopicPartition]:
        return self._lanes.keys()

    def held_back(self) -> Collection[TopicPartition]:
        """Return the partitions whose lanes are held back."""
        return [tp for tp, lane in self._lanes.items() if lane.held()]

    def wanted(self) -> Collection[TopicPartition]:
        return [tp for tp, lane in self._lanes.items() if lane.wants_more()]

    def put(self, batch: Batch, epoch: int) -> None:
        lane = self._lanes.get(batch.tp)
        if lane is not None and epoch == self.epoch:
            lane.put(batch)
            self._wake.set()

    def wake(self) -> None:
        """Wake the loop: something that a lane waits for may have arrived."""
        self._wake.set()

    async def replace(self, lanes: Mapping[TopicPartition, Lane], chores: Collection[Chore]) -> None:
        """Start a new epoch with these lanes, in order of priority."""
        async with self._running:
            self.epoch += 1
            self._cut_short = False
            self._lanes = dict(lanes)
            self._order = list(lanes.values())
            self._chores = tuple(chores)
            self._wake.set()

    async def finish(self) -> None:
        """End the epoch: settle what is done, drop the rest. Drop everything if a slice was interrupted."""
        if self._cut_short:
            await self.abandon()
            return
        self.epoch += 1
        async with self._running:
            self._lanes, self._order, self._chores = {}, [], ()
            await self._settled()
            # Settling a unit may produce more outputs.
            while not (unit := await self.delivery.close()).empty:
                await self.delivery.settle(unit)

    async def abandon(self) -> None:
        """End the epoch without settling: some outputs may have been sent, but their offsets are not committed."""
        self.epoch += 1
        async with self._running:
            self._lanes, self._order, self._chores = {}, [], ()
            if self._settling is not None:
                self._settling.cancel()
                await asyncio.gather(self._settling, return_exceptions=True)
                self._settling = None

    async def run(self) -> None:
        """Run until cancelled; raise any error of a handler or a settlement."""
        while True:
            async with self._running:
                worked = await self._turn()
            if not worked:
                await self._rest()
            else:
                await asyncio.sleep(0)

    async def _turn(self) -> bool:
        """Process one slice of each ready lane, in order of priority; then run the chores."""
        worked = False
        for lane in self._order:
            if lane.ready():
                # If a slice fails half-way, its outputs must not be committed.
                self._cut_short = True
                records = lane.step()
                self._cut_short = False
                self.processed += records
                self.traffic.taken[lane.tp.topic].add(lane.tp.partition, records)
                worked = True
                if self.delivery.full:
                    await self.delivery.send_full()
                await asyncio.sleep(0)
        now = self._clock()
        for chore in self._chores:
            worked = chore.tick(now) or worked
        await self._maybe_close(now, idle=not worked)
        return worked

    async def _maybe_close(self, now: float, *, idle: bool) -> None:
        if self._settling is not None:
            if not self._settling.done():
                return
            await self._settled()
        if self._pace.is_due(now, idle=idle, awaited=self.delivery.unit.awaited):
            self._pace.closed(now)
            unit = await self.delivery.close()
            if not unit.empty:
                self._settling = asyncio.create_task(self._settle(unit))

    async def _settle(self, unit: Unit) -> None:
        await self.delivery.settle(unit)
        if unit.commits:
            self._pace.committed(self._clock())
        self._wake.set()

    async def _settled(self) -> None:
        settling, self._settling = self._settling, None
        if settling is not None:
            await settling

    async def _rest(self) -> None:
        self._wake.clear()
        if any(lane.ready() for lane in self._order):
            return
        gathers = self._pace.left(self._clock())
        # Not wait_for: before Python 3.12 it swallows a cancellation that comes together with the event.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(IDLE_SECONDS, gathers) if gathers > 0 else IDLE_SECONDS):
                await self._wake.wait()
