"""One watcher of a table's changes on this worker: its place in the ring, and how far it has seen each partition.

Gives events as they come: `start`, `row`, and `reset` when what was seen does not lead on to what comes. Knows neither
HTTP nor other workers.
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
"""How long it may take to notice that partitions came or went while nothing changes."""

AT_ONCE = 200
"""Changes that are told together."""


class WatchEvent(NamedTuple):
    """What is told: its name, its JSON, and how far partitions are seen with it."""

    name: str
    data: bytes
    positions: Mapping[int, int]


class EventSource(Protocol):
    """Where events come from, for as long as the block lasts."""

    async def __aenter__(self) -> Self:
        """Begin."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""

    async def next(self) -> Sequence[WatchEvent] | None:
        """Give what is new, nothing after a while without; None: there will be no more."""


class Watched:
    """Events of some partitions that are on this worker, behind the one whose id is `last`."""

    def __init__(self, held: LocalTable, ring: Ring, prefix: bytes, partitions: Collection[int], last: str) -> None:
        """Begin in the ring where `last` was, if all since then is in it; with what comes, otherwise."""
        self._held = held
        self._ring = ring
        self._prefix = prefix
        self._partitions = frozenset(partitions)
        self._first: list[WatchEvent] | None = []
        self._ended = False
        self._number = ring.end
        self._positions = self._now()
        seen = read_positions(last) if last else None
        if seen is not None and ring.has_all_since(seen, self._partitions):
            self._number = ring.first
            self._positions = {partition: seen[partition] for partition in self._partitions}
        elif last:
            self._first = [_reset("what came since is not kept here", self._positions)]
        self._first.append(WatchEvent("start", b"{}", dict(self._positions)))

    async def __aenter__(self) -> Self:
        """Nothing is to be begun."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is to be ended: who has the ring gives it back."""

    def _now(self) -> dict[int, int]:
        return {each: at for each, at in self._ring.positions().items() if each in self._partitions}

    async def next(self) -> Sequence[WatchEvent] | None:
        """Give what is new; nothing after a second without; None behind a reset."""
        if self._first is not None:
            first, self._first = self._first, None
            return first
        if self._ended:
            return None
        self._ring.look_again()
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
        """Say whether a change is asked for and was not seen before."""
        if change.partition is not None and change.offset is not None:
            if change.offset < self._positions.get(change.partition, 0) or change.partition not in self._partitions:
                return False
            self._positions[change.partition] = change.offset + 1
        return change.key.startswith(self._prefix)


def _reset(why: str, positions: Mapping[int, int]) -> WatchEvent:
    return WatchEvent("reset", msgspec.json.encode({"why": why}), dict(positions))
