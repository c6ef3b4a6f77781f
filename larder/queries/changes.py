"""The last changes of a table, kept while a client watches it live.

A watcher has a place in the ring, and a position in each partition. After a disconnect it resumes there, if the ring
still has everything since. The ring has a limit, and a watcher that is too slow starts again. Knows neither
HTTP nor Kafka.
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
"""Changes of a table: a few seconds of a busy one, for watchers that were disconnected for a moment."""

KEPT_BYTES = 16 * 1024 * 1024
"""The limit of their rows."""

KEPT_SECONDS = 60.0
"""How long changes are kept after the last watcher left: it may have been disconnected, and come back."""

WATCHERS = 100
"""The limit over all tables of a worker: each change is sent to each watcher."""


class Change(NamedTuple):
    """A row that changed or was deleted; without a partition if its topic no longer has it."""

    key: bytes
    json: bytes | None
    partition: int | None
    offset: int | None
    revision: int | None

    def fields(self, held: LocalTable) -> dict[str, Any]:
        """Return the fields that watchers get."""
        return {
            "key": key_text(held.topic, self.key),
            "row": None if self.json is None else fields_of(held.stored, self.json),
            "partition": self.partition,
            "offset": self.offset,
            "revision": self.revision if held.topic.revision else None,
        }


class Ring:
    """The last changes of one table: all since `floors`, which has an offset for each partition."""

    def __init__(self, held: LocalTable, kept: int = KEPT) -> None:
        """Create a ring that begins with the next change."""
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
        """Return the position of each partition."""
        return {partition: self.held.position(partition) for partition in self.held.partitions}

    def check_partitions(self) -> None:
        """Start again if partitions came, left or were read again since the last check."""
        if self._open() != self._states:
            self._start_again()

    def _start_again(self) -> None:
        """Drop all changes. One number is skipped, so that watchers that have seen every change start again too."""
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
        """Take the keys of changed rows. An error here must not reach the caller, which applies rows."""
        try:
            if partition is None:
                self._add(Change(key, None, None, None, None) for key in keys)
                # No record says which rows were removed, so a watcher that was disconnected meanwhile cannot resume.
                self.floors = {each: position + 1 for each, position in self.positions().items()}
            else:
                self._add(
                    Change(found.key, found.json, partition, found.origin.offset, found.origin.revision)
                    for found in self.held.stored.latest(partition, keys)
                )
        except Exception:
            log.exception("changes of table %s could not be shown: watchers start again", self.held.topic.name)
            self._start_again()
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
        """Return whether the ring has all changes of these partitions since these positions.

        A position after the end is from another topic, or from a broker before it was restored.
        """
        return all(
            partition in self.floors
            and self.floors[partition] <= positions.get(partition, -1) <= self._end_of(partition)
            for partition in partitions
        )

    def _end_of(self, partition: int) -> int:
        """Return the known end: another worker may have sent more than this one has read."""
        state = self.held.state(partition)
        return max(state.position, state.end or 0)

    def since(self, number: int, limit: int) -> list[Change]:
        """Return up to `limit` changes from a number on, which must not be before `first`."""
        return list(islice(self._changes, number - self.first, number - self.first + limit))

    async def more(self, number: int, seconds: float) -> None:
        """Wait up to `seconds` until the change of that number is there."""
        if self.end > number or self.first > number:
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(woken)
        try:
            await asyncio.wait({woken}, timeout=seconds)
        finally:
            self._waiting.discard(woken)

    def wake(self) -> None:
        """Wake all waiting watchers."""
        for woken in self._waiting:
            if not woken.done():
                woken.set_result(None)


class Watches:
    """The rings of a worker, each kept while a client watches its table, and a little longer."""

    def __init__(self, limit: int = WATCHERS, kept_seconds: float = KEPT_SECONDS) -> None:
        """Create it without rings."""
        self.rings: dict[str, Ring] = {}
        self.ended = False
        self._limit = limit
        self._kept_seconds = kept_seconds
        self._watchers: dict[str, int] = {}
        self._dropping: dict[str, asyncio.TimerHandle] = {}

    @contextmanager
    def watched(self, held: LocalTable) -> Iterator[Ring]:
        """Use the ring of a table during the block; raise TooBusyError if there are too many watchers."""
        if sum(self._watchers.values()) >= self._limit:
            problem = Problem(
                "live changes", f"requires one of {self._limit} places", "none free", "ask another worker, or try later"
            )
            raise TooBusyError(problem)
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
        """End all watchers."""
        self.ended = True
        for dropping in self._dropping.values():
            dropping.cancel()
        for ring in self.rings.values():
            ring.held.changes.watch = None
            ring.wake()


def encoded(change: Change, held: LocalTable) -> bytes:
    """Return the JSON that watchers get for a change."""
    return msgspec.json.encode(change.fields(held))
