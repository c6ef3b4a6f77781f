"""Wake-ups of one partition: they lie in a compacted topic of the service, and come when their time has come.

What is kept in memory is when each is due. The rest is an owned table like any other, so that a wake-up survives its
worker, and is gone with the transaction that has what came of it.
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
from larder.operators.owned_rows import OwnedRows, Written

SLICE_WAKE_UPS = 200
"""Due wake-ups that are handled before control is given back."""


class StoredWakeUp(Row):
    """A wake-up as it lies in its topic; `at` in seconds since the epoch."""

    key: bytes
    at: float


def wake_ups_topic(name: str, partitions: int) -> OwnerTopic:
    """The table that keeps wake-ups: by the key of the row that is woken."""
    return OwnerTopic(name, StoredWakeUp, key="key", key_type=bytes, partitions=partitions)


class Woken(Protocol):
    """Who is woken."""

    def caught_up(self) -> bool:
        """It has the rows that it decides on."""

    def wake(self, wake_up: StoredWakeUp, record: Record, topic: str) -> None:
        """Decide; `record` is the wake-up as it lies in its topic."""


class WakeUps:
    """When the rows of one partition are woken. `inputs` are the input partitions by whose offsets it is fenced."""

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

    def set(self, key: bytes, at: float, timestamp: int) -> None:
        """Wake `key` then, and not when it was to be woken before."""
        self._schedule(key, at)
        self.rows.write(Written(key, msgspec.json.encode(StoredWakeUp(key=key, at=at)), None), timestamp)

    def tick(self, now: float) -> bool:
        """Read what is stored once that is whole; then wake what is due. Gives whether there is more to do at once."""
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
        """Read another slice of what is stored; gives whether there is more."""
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
        """Wake the key that is due first; not before its wake-up is stored, and has its place in the topic."""
        due, key = self._due[0]
        at = self._at.get(key)
        if at is not None and _due(at) == due:
            if self.rows.written(key) is not None:
                return False
            if self.rows.raw(key) is None:
                # Somebody else deleted it from the topic.
                del self._at[key]
            else:
                self._wake(StoredWakeUp(key=key, at=at), timestamp)
        # Those that another one has taken the place of are left in the heap until their time.
        heappop(self._due)
        return True

    def _wake(self, wake_up: StoredWakeUp, timestamp: int) -> None:
        key = wake_up.key
        for tp in self._inputs:
            self._delivery.touch(tp)
        record = PlainRecord(self.rows.offset(key), timestamp, key, msgspec.json.encode(wake_up))
        self._woken.wake(wake_up, record, self.rows.output.topic)
        if self._at[key] == wake_up.at:
            del self._at[key]
            self.rows.write(Written(key, None, None), timestamp)


def _due(at: float) -> float:
    """When a wake-up is handled: one for a time that never comes is handled at once, and dead-lettered."""
    return at if at < LATEST else -inf
