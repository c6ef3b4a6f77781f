"""Wake-ups of one partition: a compacted topic of the service keeps them until they are due.

Memory holds only when each wake-up is due. The rest is an owned table like any other, so that a wake-up survives its
worker, and is deleted in the transaction that has its outcome.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from heapq import heapify, heappop, heappush
from math import inf
from typing import Protocol

import msgspec
from aiokafka.structs import TopicPartition

from larder.declaring.decisions import LATEST
from larder.declaring.records import PlainRecord, Record
from larder.declaring.rows import Row
from larder.declaring.topics import OwnerTopic
from larder.delivery.delivery import Delivery
from larder.delivery.output import NO_HEADERS, Headers
from larder.operators.owned_rows import OwnedRows, Written

SLICE_WAKE_UPS = 200
"""How many due wake-ups are handled before control returns to the event loop."""


class StoredWakeUp(Row, omit_defaults=True):
    """A wake-up in its topic: its time in seconds since the epoch, and the headers of the decision that set it."""

    key: bytes
    at: float
    headers: list[tuple[str, bytes | None]] = msgspec.field(default_factory=list)


def wake_ups_topic(name: str, partitions: int) -> OwnerTopic:
    """Return the table that keeps wake-ups by the key of their row."""
    return OwnerTopic(name, StoredWakeUp, key="key", key_type=bytes, partitions=partitions)


class Woken(Protocol):
    """Handles wake-ups."""

    def caught_up(self) -> bool:
        """Return whether its rows are all read."""

    def wake(self, wake_up: StoredWakeUp, record: Record, topic: str) -> None:
        """Decide on a wake-up; `record` is its record in the topic."""


class WakeUps:
    """Schedules the wake-ups of one partition, which are fenced by the offsets of the input partitions `inputs`."""

    def __init__(self, rows: OwnedRows, woken: Woken, inputs: Collection[TopicPartition], delivery: Delivery) -> None:
        self.rows = rows
        self.ready = False
        self._woken = woken
        self._inputs = inputs
        self._delivery = delivery
        self._at: dict[bytes, float] = {}
        self._due: list[tuple[float, bytes]] = []
        self._slices: Iterator[Sequence[bytes]] | None = None

    def __len__(self) -> int:
        return len(self._at)

    def set(self, key: bytes, at: float, timestamp: int, carried: Headers = NO_HEADERS) -> None:
        """Schedule the wake-up of `key`, which replaces an earlier one."""
        self._schedule(key, at)
        stored = msgspec.json.encode(StoredWakeUp(key=key, at=at, headers=carried))
        self.rows.write(Written(key, stored, None), timestamp)

    def tick(self, now: float) -> bool:
        """Read the stored wake-ups once they are complete; then wake due rows. Return whether there is more to do."""
        if not self.ready:
            return self.rows.caught_up() and self._open()
        if not (self._due and self._due[0][0] <= now and self._woken.caught_up() and self.rows.caught_up()):
            return False
        self.rows.forget_stored()
        for _ in range(SLICE_WAKE_UPS):
            if not (self._due and self._due[0][0] <= now and self._wake_next(int(now * 1000))):
                return False
        return True

    def _open(self) -> bool:
        """Read another slice of stored wake-ups; return whether there is more."""
        self._slices = self._slices or self.rows.slices()
        if (rows := next(self._slices, None)) is not None:
            found = [msgspec.json.decode(row, type=StoredWakeUp) for row in rows]
            self._at |= {each.key: each.at for each in found}
            return True
        self._due = [(_due(at), key) for key, at in self._at.items()]
        heapify(self._due)
        self.ready = True
        return False

    def _schedule(self, key: bytes, at: float) -> None:
        self._at[key] = at
        heappush(self._due, (_due(at), key))

    def _wake_next(self, timestamp: int) -> bool:
        """Wake the first due key, unless its wake-up is not stored yet: only a stored one has an offset."""
        due, key = self._due[0]
        at = self._at.get(key)
        if at is not None and _due(at) == due:
            if self.rows.written(key) is not None:
                return False
            if (row := self.rows.raw(key)) is None:
                # Another writer deleted it from the topic.
                del self._at[key]
            else:
                carried = msgspec.json.decode(row, type=StoredWakeUp).headers
                self._wake(StoredWakeUp(key=key, at=at, headers=carried), timestamp)
        # Replaced wake-ups stay in the heap until they are due.
        heappop(self._due)
        return True

    def _wake(self, wake_up: StoredWakeUp, timestamp: int) -> None:
        key = wake_up.key
        for tp in self._inputs:
            self._delivery.touch(tp)
        value = msgspec.json.encode(StoredWakeUp(key=key, at=wake_up.at))
        record = PlainRecord(self.rows.offset(key), timestamp, key, value, wake_up.headers)
        self._woken.wake(wake_up, record, self.rows.output.topic)
        if self._at[key] == wake_up.at:
            del self._at[key]
            self.rows.write(Written(key, None, None), timestamp)


def _due(at: float) -> float:
    """Return when to handle a wake-up; one with an impossible time is handled at once, and dead-lettered."""
    return at if at < LATEST else -inf
