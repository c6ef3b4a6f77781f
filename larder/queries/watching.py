"""One watcher of a table's changes on this worker: its place in the ring, and its position in each partition.

Returns events as they arrive: `start`, `row`, and `reset` if the next changes do not follow what the watcher has seen.
Knows neither HTTP nor other workers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

import msgspec

from larder.queries.changes import encoded
from larder.queries.lists import Turns
from larder.queries.positions import read_positions

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from types import TracebackType

    from larder.local_tables.table import LocalTable
    from larder.queries.changes import Change, Ring

LOOK_SECONDS = 1.0
"""How long it may take to notice partitions that came or left while nothing changes."""

AT_ONCE = 200
"""Changes that are sent together."""


class WatchEvent(NamedTuple):
    """One event: its name, its JSON, and the positions of the reader after it."""

    name: str
    data: bytes
    positions: Mapping[int, int]


class EventSource(Protocol):
    """A source of events during its context."""

    async def __aenter__(self) -> Self:
        """Start."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""

    async def next(self) -> Sequence[WatchEvent] | None:
        """Return new events, an empty list if there are none for a while, or None at the end."""


class Watched:
    """Events of some partitions on this worker, after the one with the id `last`."""

    def __init__(self, held: LocalTable, ring: Ring, prefix: bytes, partitions: Collection[int], last: str) -> None:
        """Start in the ring after `last` if the ring has everything since, and otherwise at the next change."""
        self._held = held
        self._ring = ring
        self._prefix = prefix
        self._partitions = frozenset(partitions)
        self._first: list[WatchEvent] | None = []
        self._ended = False
        self._number = ring.end
        self._positions = self._now()
        reached = read_positions(last) if last else None
        if reached is not None and ring.has_all_since(reached, self._partitions):
            self._number = ring.first
            self._positions = {partition: reached[partition] for partition in self._partitions}
        elif last:
            self._first = [_reset("what came since is not kept here", self._positions)]
        self._first.append(WatchEvent("start", b"{}", dict(self._positions)))

    async def __aenter__(self) -> Self:
        """Return the watcher, which needs no start."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Do nothing: the caller returns the ring."""

    def _now(self) -> dict[int, int]:
        return {each: at for each, at in self._ring.positions().items() if each in self._partitions}

    async def next(self) -> Sequence[WatchEvent] | None:
        """Return new events, an empty list if there are none for a second, or None after a reset."""
        if self._first is not None:
            first, self._first = self._first, None
            return first
        if self._ended:
            return None
        self._ring.check_partitions()
        if self._number < self._ring.first:
            self._ended = True
            why = "partitions came or went" if self._number < self._ring.began else "too slow"
            return [_reset(why, self._now())]
        found = self._ring.since(self._number, AT_ONCE)
        if not found:
            await self._ring.more(self._number, LOOK_SECONDS)
            return []
        self._number += len(found)
        turns = Turns()
        events = []
        for change in found:
            if self._is_new(change):
                events.append(WatchEvent("row", encoded(change, self._held), dict(self._positions)))
                await turns.pause()
        return events

    def _is_new(self, change: Change) -> bool:
        """Return whether a change is wanted, and not seen before."""
        if change.partition is not None and change.offset is not None:
            if change.offset < self._positions.get(change.partition, 0) or change.partition not in self._partitions:
                return False
            self._positions[change.partition] = change.offset + 1
        return change.key.startswith(self._prefix)


def _reset(why: str, positions: Mapping[int, int]) -> WatchEvent:
    return WatchEvent("reset", msgspec.json.encode({"why": why}), dict(positions))
