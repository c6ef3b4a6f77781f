"""Live changes of a table whose partitions several workers have: their streams, merged into one.

Each worker streams the partitions that it processes, from where the reader left off. If one stream ends, or partitions
move, all of them end: the reader connects again and resumes after the last event that it saw.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

import aiohttp

from larder.queries.certainty import unplaced
from larder.queries.event_stream import EventReader, ServerSentEvent
from larder.queries.key_texts import key_text
from larder.queries.paths import table_path
from larder.queries.positions import positions_text, read_positions
from larder.queries.routing import share
from larder.queries.watching import LOOK_SECONDS, Watched, WatchEvent
from larder.web.peers.client import hopping
from larder.web.peers.rows import unserved
from larder.web.sources import sources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web

    from larder.group.peers import Peer
    from larder.local_tables.table import LocalTable
    from larder.queries.changes import Ring
    from larder.queries.directory import Directory
    from larder.queries.routing import Shares
    from larder.web.peers.client import Hopping

AHEAD = 100
"""Batches of events that may wait for the reader; after that, their sources wait too."""

START_SECONDS = 3.0
"""The timeout until all streams have started, which usually takes milliseconds. Meanwhile, started ones wait."""


async def everywhere(request: web.Request, held: LocalTable, ring: Ring, prefix: bytes, last: str) -> OfAll:
    """Stream from all workers; raises UnservedError for a partition that no worker has."""
    here = sources(request)
    if not held.partition_count:
        raise unplaced(held, "live changes")
    shares = share(held, range(held.partition_count), await here.directory.peers(), here.worker)
    if shares.nowhere:
        peers = await here.directory.peers(refresh=True)
        shares = share(held, range(held.partition_count), peers, here.worker)
    if shares.nowhere:
        raise unserved(held, "live changes", list(shares.nowhere))
    mine = Watched(held, ring, prefix, shares.here, last)
    return OfAll(here.directory, hopping(request), held, shares, mine, prefix, last)


class OfAll:
    """The events of this worker and of the others, in the order of arrival."""

    def __init__(  # noqa: PLR0913, PLR0917 - what is watched, and from where on
        self,
        directory: Directory,
        hopping: Hopping,
        held: LocalTable,
        shares: Shares,
        mine: Watched,
        prefix: bytes,
        last: str,
    ) -> None:
        """Prepare; entering the context connects to the others."""
        self._directory = directory
        self._hopping = hopping
        self._held = held
        self._shares = shares
        self._mine = mine
        self._prefix = prefix
        self._last = last
        self._told: asyncio.Queue[Sequence[WatchEvent] | None] = asyncio.Queue(AHEAD)
        self._tasks: list[asyncio.Task[None]] = []
        self._started: list[WatchEvent] = []
        self._all_started = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Start all streams."""
        listening = [self._listen(peer, numbers) for peer, numbers in self._shares.elsewhere]
        parts = [*listening, self._listen_here()] if self._shares.here else listening
        self._tasks = [asyncio.create_task(self._to_the_end(each)) for each in [*parts, self._look()]]
        return self

    async def __aexit__(self, *_: object) -> None:
        """End all streams."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def next(self) -> Sequence[WatchEvent] | None:
        """Return new events; None after a stream has ended."""
        if not self._told.empty():
            return self._together(await self._told.get())
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                return self._together(await self._told.get())
        except TimeoutError:
            return []

    def _together(self, events: Sequence[WatchEvent] | None) -> Sequence[WatchEvent] | None:
        """Return one start event for all streams once all have started; until then, hold their events back."""
        if events is None or self._all_started.is_set():
            return events
        self._started += events
        starts = [each for each in self._started if each.name == "start"]
        if len(starts) < len(self._shares.elsewhere) + bool(self._shares.here):
            return []
        self._all_started.set()
        positions = {partition: at for each in starts for partition, at in each.positions.items()}
        resets = [each for each in self._started if each.name == "reset"][:1]
        first = [each._replace(positions=positions) for each in [*resets, starts[0]]]
        return [*first, *(each for each in self._started if each.name not in {"start", "reset"})]

    async def _tell(self, events: Sequence[WatchEvent]) -> None:
        await self._told.put(events)
        if any(each.name == "start" for each in events):
            await self._all_started.wait()

    async def _to_the_end(self, part: Any) -> None:
        # If a worker is unreachable, or sends invalid events, the reader reconnects, and then gets an error.
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError, ValueError):
            await part
        await self._told.put(None)

    async def _listen_here(self) -> None:
        while (events := await self._mine.next()) is not None:
            if events:
                await self._tell(events)

    async def _look(self) -> None:
        """Return after a partition has moved; raise TimeoutError if a stream does not start in time."""
        async with asyncio.timeout(START_SECONDS):
            await self._all_started.wait()
        topic = self._held.stored.topic.name
        shared = {peer.worker: list(numbers) for peer, numbers in self._shares.elsewhere}
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            peers = await self._directory.peers()
            now = {peer.worker: peer.partitions.get(topic, ()) for peer in peers if peer.worker in shared}
            if any(not set(numbers) <= set(now.get(worker, ())) for worker, numbers in shared.items()):
                return

    async def _listen(self, peer: Peer, numbers: Sequence[int]) -> None:
        topic = self._held.topic
        query: list[tuple[str, Any]] = [("local", 1), *(("partition", each) for each in numbers)]
        if self._prefix:
            query.append(("prefix", key_text(topic, self._prefix)))
        path = f"{table_path(topic.name)}/changes?{urlencode(query)}"
        async with self._hopping.stream(peer, path, self._seen(numbers)) as content:
            reader = EventReader()
            async for piece in content.iter_any():
                if events := [watched(event) for event in reader.feed(piece)]:
                    await self._tell(events)

    def _seen(self, numbers: Sequence[int]) -> str:
        """Return the part of the last id for these partitions; an invalid id is returned unchanged."""
        seen = read_positions(self._last) if self._last else None
        if seen is None:
            return self._last
        return positions_text({each: at for each, at in seen.items() if each in numbers}) or "none"


def watched(event: ServerSentEvent) -> WatchEvent:
    """Read an event of another worker; raises ValueError for one that no worker sends."""
    if (positions := read_positions(event.id)) is None:
        raise ValueError(event.id)
    return WatchEvent(event.name, event.data, positions)
