"""The last changes of a table, kept for those who watch it live, and as long as somebody does.

A watcher is a place in the ring and the positions up to which it has seen each partition: by these it goes on, after a
break too, if all that came since is still here. The ring is bounded, and what is slower than it begins anew. Knows
neither HTTP nor Kafka.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from larder.declaring.problems import Problem
from larder.queries.key_texts import key_text
from larder.queries.lookup_errors import TooBusyError
from larder.queries.row_answers import fields_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from larder.local_tables.table import LocalTable
    from larder.store import State

log = logging.getLogger("larder")

KEPT = 10_000
"""Changes of a table: some seconds of a busy one, for whoever was cut off for a moment."""

KEPT_BYTES = 16 * 1024 * 1024
"""Of their rows."""

KEPT_SECONDS = 60.0
"""After the last watcher went: it may have been cut off, and come back."""

WATCHERS = 100
"""Of all tables of a worker: each change is written to each of them."""


class Change(NamedTuple):
    """A row that became another one, or none; without a partition: its topic has it no longer."""

    key: bytes
    json: bytes | None
    partition: int | None
    offset: int | None
    revision: int | None

    def told(self, held: LocalTable) -> dict[str, Any]:
        """Give what watchers are told."""
        return {
            "key": key_text(held.topic, self.key),
            "row": None if self.json is None else fields_of(held.stored, self.json),
            "partition": self.partition,
            "offset": self.offset,
            "revision": self.revision if held.topic.revision else None,
        }


class Ring:
    """Changes of one table since `floors`, by partition the offset from which on all of them are here."""

    def __init__(self, held: LocalTable, kept: int = KEPT) -> None:
        """Begin with what comes from now on."""
        self.held = held
        self.first = self.began = 0
        self._kept = kept
        self._bytes = 0
        self._changes: deque[Change] = deque()
        self._waiting: set[asyncio.Future[None]] = set()
        self._states = self._open()
        self.floors = self.positions()

    @property
    def end(self) -> int:
        """The number of the next change."""
        return self.first + len(self._changes)

    def positions(self) -> dict[int, int]:
        """Give where each partition is now."""
        return {partition: self.held.position(partition) for partition in self.held.partitions}

    def look_again(self) -> None:
        """Begin anew if partitions came, went or were read anew since."""
        if self._open() != self._states:
            self._begin_anew()

    def _begin_anew(self) -> None:
        """Forget what was before; a number is left out, so that those who have seen all of it begin anew, too."""
        self._states = self._open()
        self.floors = self.positions()
        self.first = self.began = self.end + 1
        self._changes.clear()
        self._bytes = 0
        self.wake()

    def _open(self) -> dict[int, State]:
        table = self.held.stored
        return {partition: table.state(partition) for partition in table.partitions}

    def take(self, partition: int | None, keys: Sequence[bytes]) -> None:
        """Take the keys of rows that changed; whatever is wrong with them, who applied them is not to suffer."""
        try:
            if partition is None:
                self._add(Change(key, None, None, None, None) for key in keys)
                # Who was away while rows were removed cannot be told which: no record says so.
                self.floors = {each: position + 1 for each, position in self.positions().items()}
            else:
                self._add(
                    Change(found.key, found.json, partition, found.origin.offset, found.origin.revision)
                    for found in self.held.stored.latest(partition, keys)
                )
        except Exception:
            log.exception("changes of table %s could not be shown: whoever watches begins anew", self.held.topic.name)
            self._begin_anew()
        self.wake()

    def _add(self, changes: Iterator[Change]) -> None:
        for change in changes:
            self._changes.append(change)
            self._bytes += len(change.json or b"")
        while len(self._changes) > self._kept or self._bytes > KEPT_BYTES:
            gone = self._changes.popleft()
            self.first += 1
            self._bytes -= len(gone.json or b"")
            if gone.partition is not None and gone.offset is not None:
                self.floors[gone.partition] = max(self.floors.get(gone.partition, 0), gone.offset + 1)

    def has_all_since(self, positions: Mapping[int, int], partitions: Collection[int]) -> bool:
        """Say whether all that came in partitions after positions is here.

        Nobody can have seen what lies behind the end: that was another topic, or a broker before it was restored.
        """
        return all(
            partition in self.floors
            and self.floors[partition] <= positions.get(partition, -1) <= self._end_of(partition)
            for partition in partitions
        )

    def _end_of(self, partition: int) -> int:
        """Give the end as it is known; what was seen on another worker may not have come here yet."""
        state = self.held.state(partition)
        return max(state.position, state.end or 0)

    def since(self, number: int, limit: int) -> list[Change]:
        """Give up to `limit` changes from a number on, which must not lie before `first`."""
        return list(islice(self._changes, number - self.first, number - self.first + limit))

    async def more(self, number: int, seconds: float) -> None:
        """Wait until there is a change of that number, or for so long."""
        if self.end > number or self.first > number:
            return
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(told)
        try:
            await asyncio.wait({told}, timeout=seconds)
        finally:
            self._waiting.discard(told)

    def wake(self) -> None:
        """Have whoever waits look again."""
        for told in self._waiting:
            if not told.done():
                told.set_result(None)


class Watches:
    """The rings of a worker, each for as long as somebody watches its table, and a little longer."""

    def __init__(self, limit: int = WATCHERS, kept_seconds: float = KEPT_SECONDS) -> None:
        """Begin with none."""
        self.rings: dict[str, Ring] = {}
        self.ended = False
        self._limit = limit
        self._kept_seconds = kept_seconds
        self._watchers: dict[str, int] = {}
        self._dropping: dict[str, asyncio.TimerHandle] = {}

    @contextmanager
    def watched(self, held: LocalTable) -> Iterator[Ring]:
        """Have the ring of a table for as long as the block lasts; raises TooBusyError for one watcher too many."""
        if sum(self._watchers.values()) >= self._limit:
            found = "none that is free"
            raise TooBusyError(
                Problem("live changes", f"requires one of {self._limit} places", found, "ask another worker, or later")
            )
        name = held.topic.name
        if (dropping := self._dropping.pop(name, None)) is not None:
            dropping.cancel()
        if (ring := self.rings.get(name)) is None:
            ring = self.rings[name] = Ring(held)
            held.changes.watch = ring.take
        self._watchers[name] = self._watchers.get(name, 0) + 1
        try:
            yield ring
        finally:
            self._watchers[name] -= 1
            if not self._watchers[name]:
                del self._watchers[name]
                later = asyncio.get_running_loop().call_later
                self._dropping[name] = later(self._kept_seconds, self._drop, name)

    def _drop(self, name: str) -> None:
        self._dropping.pop(name, None)
        self.rings.pop(name).held.changes.watch = None

    def end(self) -> None:
        """Tell all that watch that it is over."""
        self.ended = True
        for dropping in self._dropping.values():
            dropping.cancel()
        for ring in self.rings.values():
            ring.held.changes.watch = None
            ring.wake()


def encoded(change: Change, held: LocalTable) -> bytes:
    """Give the JSON of what watchers are told of a change."""
    return msgspec.json.encode(change.told(held))
